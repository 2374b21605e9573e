"""Cases of numbers on disk: what is written comes back, in memory that does not grow."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.ragged_file import RaggedFile, write_ragged
from recurra.errors import BadInput

DTYPES = st.sampled_from([np.dtype(name) for name in ("float32", "uint8", "uint16", "int64")])


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 4), DTYPES, st.integers(0, 2**32 - 1))
def test_arrays_come_back(tmp_path_factory, lengths, features, dtype, seed):
    rng, path = np.random.default_rng(seed), tmp_path_factory.getbasetemp() / "cases"
    arrays = [rng.integers(0, 200, (length, features)).astype(dtype) for length in lengths]
    written = write_ragged(path, iter(arrays), dtype, features)
    for file in (written, RaggedFile(path)):
        assert (len(file), file.features, file.dtype) == (len(arrays), features, dtype)
        assert file.lengths.dtype == np.int64 and file.lengths.tolist() == lengths
        for case, array in enumerate(arrays):
            assert file[case].shape == array.shape and file[case].dtype == dtype
            assert file[case].tobytes() == file[case - len(arrays)].tobytes() == array.tobytes()


def test_one_feature_may_be_a_plain_row(tmp_path):
    file = write_ragged(tmp_path / "ids", [np.array([3, 1], np.uint16)], np.dtype("uint16"), 1)
    assert file[0].tolist() == [[3], [1]]


def test_cases_past_the_end_are_refused(tmp_path):
    file = write_ragged(tmp_path / "ids", [np.zeros(2, np.uint8)], np.dtype("uint8"), 1)
    assert [case.shape for case in file] == [(2, 1)]  # an IndexError ends the loop
    with pytest.raises(IndexError):
        file[-2]


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3)), np.zeros((2, 2), np.float32), np.zeros(6, np.float32), np.zeros((1, 3, 1), np.float32)]
)
def test_arrays_of_another_kind_are_refused_and_the_old_file_stays(tmp_path, array):
    path = tmp_path / "cases"
    good = np.ones((1, 3), np.float32)
    write_ragged(path, [good], good.dtype, 3)
    with pytest.raises(ValueError, match=r"case 1 is .* it is to be float32 \(T, 3\)"):
        write_ragged(path, [good * 2, array], good.dtype, 3)
    assert RaggedFile(path)[0].tolist() == good.tolist()
    assert [file.name for file in tmp_path.iterdir()] == ["cases"]


def test_part_of_a_file_is_refused(tmp_path):
    path = tmp_path / "cases"
    write_ragged(path, [np.zeros((length, 2), np.float32) for length in (3, 0, 5)], np.dtype("float32"), 2)
    whole = path.read_bytes()
    parts = [whole[:size] for size in range(len(whole))] + [whole[size:] for size in range(1, len(whole))]
    for part in [*parts, whole + b"\0", whole[:8] + whole]:
        path.write_bytes(part)
        with pytest.raises(BadInput, match=r"cases: .* run again"):
            RaggedFile(path)


def test_memory_does_not_grow_with_the_cases(tmp_path):
    def peak(cases: int) -> int:
        tracemalloc.start()
        file = write_ragged(path, (np.full((100, 10), case, np.float32) for case in range(cases)), np.float32, 10)
        sum(float(file[case][0, 0]) for case in range(cases))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    path = tmp_path / "cases"
    few, many = peak(100), peak(5000)  # 0.4 and 20 MB of values
    assert path.stat().st_size > 20_000_000
    assert many < few + 5000 * 64  # lengths and offsets, and their copies while they are made
