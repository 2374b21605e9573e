from collections import Counter

import numpy as np
import pytest
import torch

from recurra.data.windows import StatefulWindows, evaluation_rows
from recurra.errors import BadInput


def pairs(windows):
    """How often each (input, target) counts. Tokens are their own positions, so the target must be one more."""
    seen = Counter()
    for inputs, targets in windows:
        assert inputs.dtype == targets.dtype == torch.int64 and inputs.shape == targets.shape
        seen.update((int(x), int(y)) for x, y in zip(inputs.flatten(), targets.flatten(), strict=True) if y != -100)
    return seen


SIZES = [(7, 1, 6), (101, 4, 25), (101, 4, 7), (102, 4, 7), (103, 10, 1), (60, 3, 19), (61, 3, 4)]


@pytest.mark.parametrize(("length", "rows", "steps"), SIZES)
def test_every_target_of_the_rows_counts_once(length, rows, steps):
    row_length = (length - 1) // rows
    for stride in {1, (steps + 1) // 2, steps}:
        windows = StatefulWindows(np.arange(length, dtype=np.uint8), rows, steps, stride=stride)
        assert pairs(windows) == {(t, t + 1): 1 for t in range(rows * row_length)}
        assert len(list(windows)) == len(windows)


@pytest.mark.parametrize(("length", "rows", "steps"), SIZES)
def test_rows_go_on_from_window_to_window(length, rows, steps):
    windows = StatefulWindows(np.arange(length), rows, steps)
    whole = torch.cat([inputs for inputs, _ in windows], dim=1)
    assert torch.equal(whole, torch.arange(whole.numel()).reshape(rows, -1))
    assert all(inputs.shape[1] == steps for inputs, _ in list(windows)[:-1])


def test_overlapping_windows_start_where_advance_says_and_see_enough_of_the_past():
    windows = StatefulWindows(np.arange(101), 4, 7, stride=3)
    position = 0
    for index, (inputs, targets) in enumerate(windows):
        assert inputs[0, 0] == position and inputs.shape[1] <= 7
        counted = (targets[0] != -100).nonzero().flatten()
        assert len(counted) == (3 if index < len(windows) - 1 else 1) and counted[-1] == inputs.shape[1] - 1
        assert counted[0] == min(4, 3 * index)  # steps - stride steps before the first that counts
        position += windows.advance(index)
    assert position == windows.row_length


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 9, 30, 31, 40])
@pytest.mark.parametrize("steps", [1, 4, 100])
def test_evaluation_predicts_every_token_but_the_first_once(rows, steps):
    for length in (2, 3, 30, 31, 32):
        windows = list(evaluation_rows(np.arange(length), rows, steps))
        assert pairs(windows) == {(t, t + 1): 1 for t in range(length - 1)}
        for inputs, targets in windows:
            assert inputs.shape[0] == rows and inputs.shape[1] <= steps
            assert not inputs[targets == -100].any()


def test_evaluation_rows_are_contiguous():
    whole = torch.cat([inputs for inputs, _ in evaluation_rows(np.arange(1, 12), 3, 3)], dim=1)
    assert whole.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 0, 0]]


def test_too_short_a_text_says_what_is_needed():
    StatefulWindows(np.zeros(641), 32, 20)
    with pytest.raises(BadInput, match="has 640 tokens, but 32 rows of 20 steps need 641; .* --batch-size or --steps"):
        StatefulWindows(np.zeros(640), 32, 20)
    with pytest.raises(BadInput, match="has 1 tokens"):
        list(evaluation_rows(np.zeros(1), 1, 1))


def test_sizes_out_of_range_are_errors_of_the_program():
    for batch_size, steps, stride in [(0, 1, None), (1, 0, None), (1, 2, 3), (1, 2, 0)]:
        with pytest.raises(ValueError, match="need batch_size >= 1"):
            StatefulWindows(np.zeros(100), batch_size, steps, stride=stride)
    for index in (-1, 25):
        with pytest.raises(IndexError, match="of 25"):
            StatefulWindows(np.zeros(101), 2, 2)[index]
