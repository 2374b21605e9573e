"""Checkpoints come back as they were written, or say in one line what is wrong with them."""

import json
import pickletools
import resource
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from recurra.errors import BadInput
from recurra.training.checkpoint import random_state, read_checkpoint, restore_random_state, write_checkpoint
from tests.training.tiny import same


def example() -> dict[str, Any]:
    return {
        "model": {"a.weight": torch.randn(2, 3), "empty": torch.empty(0, 4), "scalar": torch.tensor(3.0)},
        "optimizer": {"state": {0: {"step": torch.tensor(7.0)}, 12: {}}, "groups": [{"betas": [0.9, 0.1], "on": None}]},
        "state": [torch.randn(2, 2, dtype=torch.float64), torch.arange(3), torch.tensor([True, False])],
        "half": torch.randn(3).bfloat16(),
        "text": "naïve",
        "numbers": [1, -2.5, 1e-300, 0.1],
    }


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    tree = example()
    write_checkpoint(tmp_path / "c", tree)
    assert same(read_checkpoint(tmp_path / "c"), tree)


@pytest.mark.parametrize("length", range(0, 64, 8))
def test_what_is_read_is_aligned_as_torch_aligns(tmp_path: Path, length: int) -> None:
    """Else a resumed run would round differently from one never interrupted."""
    write_checkpoint(tmp_path / "c", {"odd": torch.ones(3), "weight": torch.ones(5), "text": "x" * length})
    read = read_checkpoint(tmp_path / "c")
    assert torch.empty(5).data_ptr() % 64 == read["odd"].data_ptr() % 64 == read["weight"].data_ptr() % 64 == 0


def test_names_of_tensors_are_the_places_in_the_tree(tmp_path: Path) -> None:
    weight = torch.randn(2, 2)
    write_checkpoint(tmp_path / "c", {"cell.weight": weight})
    assert torch.equal(load_file(tmp_path / "c")["cell.weight"], weight)


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    tied, row = torch.randn(4, 3), torch.arange(12.0)
    tree = {"a": tied, "b": tied, "left": row[:8], "right": row[4:], "turned": tied.T, "wide": torch.ones(1).expand(5)}
    write_checkpoint(tmp_path / "c", tree)
    assert same(read_checkpoint(tmp_path / "c"), tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"text": "tensor:x"},
        {"#1": 2},
        {"a.b": torch.ones(1), "a": {"b": torch.zeros(1)}},
        {0: torch.ones(1), "0": torch.zeros(1)},
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, tree: dict[Any, Any]) -> None:
    with pytest.raises(ValueError):
        write_checkpoint(tmp_path / "c", tree)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", example())
    content = (tmp_path / "c").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    json.loads(metadata["recurra"])
    # the rest is the tensors' own numbers, to the last byte
    assert sum(end - begin for begin, end in (entry["data_offsets"] for entry in header.values())) == (
        len(content) - 8 - length
    )
    with pytest.raises(ValueError):
        list(pickletools.genops(content))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def header_cut(content: bytes) -> bytes:
    return content[:40]


def header_damaged(content: bytes) -> bytes:
    return content.replace(b'"recurra"', b'"recu{ra"', 1)


def json_damaged(content: bytes) -> bytes:
    return content.replace(b'\\"optimizer\\":', b'\\"optimizer\\";', 1)


def tensor_missing(content: bytes) -> bytes:
    return content.replace(b"tensor:half", b"tensor:holf", 1)


@pytest.mark.parametrize("damage", [cut, header_cut, header_damaged, json_damaged, tensor_missing, lambda content: b""])
@pytest.mark.parametrize(
    ("place", "mend"), [("checkpoints/c", "delete this file and resume"), ("model", "restore it from a copy")]
)
def test_damage_is_one_line_with_a_mend(tmp_path: Path, damage: Any, place: str, mend: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    write_checkpoint(path, example())
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(BadInput) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: damaged or not written by Recurra") and mend in message and "\n" not in message


def test_foreign_and_missing_files(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "foreign")
    with pytest.raises(BadInput, match="not written by Recurra"):
        read_checkpoint(tmp_path / "foreign")
    with pytest.raises(BadInput, match="no such file"):
        read_checkpoint(tmp_path / "missing")


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "c"
    write_checkpoint(path, {"weight": torch.ones(2)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(BadInput, match="no space left on the disk"):
            write_checkpoint(path, {"weight": torch.ones(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert same(read_checkpoint(path), {"weight": torch.ones(2)})
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_random_state_repeats_the_numbers_drawn() -> None:
    state = random_state()
    first = torch.rand(5)
    restore_random_state(state)
    assert torch.equal(torch.rand(5), first)
