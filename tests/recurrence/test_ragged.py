import torch

from recurra.recurrence.ragged import blank_padding, reverse, within

LENGTHS = torch.tensor([4, 0, 2, 1])


def test_within_marks_each_rows_own_steps():
    assert within(LENGTHS, 4).int().tolist() == [[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]


def test_rows_are_reversed_by_their_own_length():
    rows = torch.tensor([[1, 2, 3, 4]]).expand(4, 4)
    want = [[4, 3, 2, 1], [1, 2, 3, 4], [2, 1, 3, 4], [1, 2, 3, 4]]
    assert reverse(rows, LENGTHS).tolist() == want
    assert reverse(rows, LENGTHS.int()).tolist() == want
    assert reverse(rows).tolist() == [[4, 3, 2, 1]] * 4


def test_reversing_takes_features_along_and_is_its_own_inverse():
    x = torch.rand(4, 4, 3, 2)
    assert torch.equal(reverse(x, LENGTHS)[2, :2], x[2, :2].flip(0))
    assert torch.equal(reverse(reverse(x, LENGTHS), LENGTHS), x)


def test_padding_is_blank_whatever_it_was():
    x = torch.ones(4, 4, 2)
    x[2, 2:] = torch.nan
    assert torch.equal(blank_padding(x, LENGTHS)[..., 0], within(LENGTHS, 4).float())
    assert blank_padding(x, None) is x
