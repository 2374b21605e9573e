"""What a step's tensors have to be for a loop to run on them, one deviation at a time."""

import ctypes
import threading

import pytest
import torch
from torch import Tensor, nn

from recurra.recurrence.cpu.handover import DONE, SCATTERED, TABLE, UNLIKE, expected, handover

SHAPES = [(2, 3), (), (1, 4, 1)]


class Derived(Tensor):
    """A class of its own, whose numbers may mean anything."""


def hand_over(tensors: list[object]) -> tuple[int, list[int]]:
    """The answer to a list that should be float32 of `SHAPES`; and the words that a loop was given, if it ran."""
    words = (ctypes.c_int64 * 16)()
    ran: list[int] = []
    loop = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: ran.extend(words))
    look = [word for shape in SHAPES for word in expected(shape, torch.float32)]
    entries, copies = [10, 2, 0, 12, 0, 8], [0, 16, 1, 4]
    arrays = {
        name: (ctypes.c_int64 * len(given))(*given)
        for name, given in {"expected*": look, "entry*": entries, "copy*": copies}.items()
    }
    table = {"tensors": 3, "entries": 2, "copies": 1, "words*": ctypes.addressof(words), "parallel": 0}
    table |= {name: ctypes.addressof(array) for name, array in arrays.items()}
    table["loop"] = ctypes.cast(loop, ctypes.c_void_p).value or 0
    numbers = (ctypes.c_int64 * len(TABLE))(*(table[name] for name in TABLE))
    found = handover()
    assert found is not None
    return found.call(tensors, ctypes.addressof(numbers), 1), ran


def given() -> list[Tensor]:
    return [torch.randn(shape) for shape in SHAPES]


def test_addresses_are_filled_in_and_results_copied() -> None:
    tensors = given()
    tensors[2] = nn.Parameter(tensors[2])
    answer, words = hand_over(tensors)
    assert answer == DONE and words[3] == 1  # alone
    assert words[10] == tensors[2].data_ptr() and words[12] == tensors[0].data_ptr() + 8
    assert tensors[1] == tensors[0][1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        torch.randn(2, 4),
        torch.randn(3, 2),
        torch.randn(6),
        torch.randn(2, 3, 1),
        torch.randn(2, 3, dtype=torch.float64),
        torch.randn(2, 3).to(torch.bfloat16),
        torch.ones(2, 3, dtype=torch.int32),
        torch.zeros(2, 3, dtype=torch.complex64),
        torch.randn(2, 3, device="meta"),
        torch.randn(2, 3).to_sparse(),
        torch.randn(2, 3).as_subclass(Derived),
        [[0.0] * 3] * 2,
        None,
        7,
    ],
    ids=lambda wrong: f"{type(wrong).__name__} {getattr(wrong, 'dtype', '')} {list(getattr(wrong, 'shape', []))}",
)
def test_a_tensor_of_another_kind_is_seen(wrong: object) -> None:
    tensors = given()
    assert hand_over([wrong, *tensors[1:]]) == (UNLIKE, [])
    assert hand_over(tensors)[0] == DONE


def test_strides_are_seen_behind_an_equal_address_and_shape() -> None:
    _, *others = given()
    storage = torch.randn(6)
    for strides, answer in (((3, 1), DONE), ((1, 2), SCATTERED), ((0, 1), SCATTERED), ((0, 0), SCATTERED)):
        assert hand_over([storage.as_strided((2, 3), strides), *others])[0] == answer
    # strides of dimensions of length one mean nothing
    assert (
        hand_over([storage.view(2, 3), others[0], torch.randn(4, 5)[:, 1].as_strided((1, 4, 1), (9, 1, 7))])[0] == DONE
    )
    # one that is not contiguous does not hide another that is of another kind
    assert hand_over([storage.view(3, 2).T, others[0], torch.randn(1, 4, 2)])[0] == UNLIKE


def test_other_threads_of_python_go_on_while_a_loop_runs() -> None:
    words, met = (ctypes.c_int64 * 16)(), threading.Barrier(2, timeout=20)
    loop = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: met.wait() and None)
    table = dict.fromkeys(TABLE, 0) | {"words*": ctypes.addressof(words)}
    table["loop"] = ctypes.cast(loop, ctypes.c_void_p).value or 0
    numbers = (ctypes.c_int64 * len(TABLE))(*(table[name] for name in TABLE))
    found = handover()
    assert found is not None
    calls = [threading.Thread(target=found.call, args=([], ctypes.addressof(numbers), 1)) for _ in range(2)]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    assert not met.broken
