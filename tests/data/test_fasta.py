"""Records of FASTA whose residues are labelled, and those that are yet to be."""

import pytest

from recurra.data.fasta import records
from recurra.errors import BadInput

TEXT = """
>one | signal
MKV
LAT

SSS
OOO
>two
GG
HH
"""


def read(text, labels=None):
    return list(records(text.splitlines(), "a.fasta", labels))


def test_residues_and_their_labels():
    one, two = read(TEXT)
    assert "".join(residue + label for residue, label in one.cells) == "MSKSVSLOAOTO"
    assert two.cells == (("G", "H"), ("G", "H"))
    assert [one.line(token) for token in (0, 2, 3, 5)] == [3, 3, 4, 4] and two.line(0) == 9


def test_labels_are_written_below_the_residues():
    one, two = read(TEXT)
    assert one.with_column(1, list("abcdef")) == [">one | signal", "MKV", "LAT", "abc", "def"]
    assert two.with_column(1, list("xy")) == [">two", "GG", "xy"]


def test_what_has_no_known_labels_is_sequence_alone():
    (one,) = read(">long\nMKV\nLAT\n", frozenset("SO"))
    assert one.cells == tuple((residue,) for residue in "MKVLAT")
    assert one.with_column(1, list("SSSOOO")) == [">long", "MKV", "LAT", "SSS", "OOO"]
    (one,) = read(">known\nMKV\nSSO\n", frozenset("SO"))
    assert one.cells == (("M", "S"), ("K", "S"), ("V", "O"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("MKV\n>x\n", "a.fasta: line 1: FASTA begins a record with >, got 'MKV'"),
        (">x\n>y\nA\nB\n", "a.fasta: line 1: >x has no residues"),
        (">x\nMK\nS\n", "a.fasta: line 1: >x has 2 lines, which are not residues and as many labels"),
        (">x\nMK\n", "a.fasta: line 1: >x has 1 lines"),
    ],
)
def test_broken_records_are_named(text, wrong):
    with pytest.raises(BadInput, match=wrong):
        read(text)
