"""Each problem beside a reading of its paper, written step by step."""

import re
from itertools import product

import numpy as np
import pytest
import torch

from recurra.data.problems import make_problem
from recurra.data.problems.reber import ALPHABET


def symbols(x):
    """The numbers of unit vectors, -1 behind the end."""
    return torch.where(x.sum(2) > 0, x.argmax(2), -1).tolist()


def test_every_third_bit_is_the_exclusive_or_of_the_two_before():
    found = make_problem("temporal-xor", lag=31).examples(0, range(50))
    for x, target in zip(found.x[..., 0], found.target[..., 0], strict=True):
        stream = [int(x[0]), *map(int, target)]
        assert stream[1:-1] == list(map(int, x[1:]))
        assert all(stream[i + 2] == stream[i] ^ stream[i + 1] for i in range(0, 30, 3))
    assert found.judged[0].nonzero().flatten().tolist() == list(range(1, 31, 3))
    assert abs(found.x.mean() - 0.5) < 0.05


def test_two_thirds_of_bits_can_be_right_at_best():
    problem = make_problem("temporal-xor", lag=300)
    found = problem.examples(0, range(200))
    best = problem.optimal(found)
    assert problem.right(best, found.truth).float().mean() == pytest.approx(2 / 3, abs=0.01)
    assert float(problem.loss(best, found.target, found.mask)) == pytest.approx(2 / 3 * np.log(2), abs=1e-6)


def test_one_of_each_half_is_added():
    found = make_problem("adding", lag=11).examples(0, range(200))
    values, marks = found.x.unbind(2)
    assert (marks[:, :5].sum(1) == 1).all() and (marks[:, 5:].sum(1) == 1).all()
    torch.testing.assert_close((values * marks).sum(1), found.target[:, 0, 0])
    assert values.min() >= 0 and values.max() < 1 and values.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["adding-1997", "multiplication"])
def test_two_of_the_first_half_are_marked(name):
    found = make_problem(name, lag=40).examples(0, range(1000))
    firsts = 0
    for row, length in enumerate(found.lengths.tolist()):
        values, marks = found.x[row, :length].unbind(1)
        one, other = marks.eq(1).nonzero().flatten().tolist()
        assert one < 10 and other < 20 and marks[-1] == -1
        if one == 0:
            firsts += 1
            assert values[0] == (0.0 if name == "adding-1997" else 1.0)
        else:
            assert marks[0] == -1
        wanted = values[one] * values[other] if name == "multiplication" else 0.5 + (values[one] + values[other]) / 4
        assert float(found.target[row, 0, 0]) == pytest.approx(float(wanted), abs=1e-6)
    assert set(found.lengths.tolist()) == set(range(40, 45))
    assert firsts / 1000 == pytest.approx(0.1 + 0.9 / 19, abs=0.05)


@pytest.mark.parametrize(("name", "marks"), [("temporal-order", 2), ("temporal-order-3", 3)])
def test_the_class_is_the_order(name, marks):
    spans = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}[marks]
    found = make_problem(name).examples(0, range(300))
    classes = list(product("XY", repeat=marks))
    for row, answer, length in zip(symbols(found.x), found.target[:, 0].tolist(), found.lengths.tolist(), strict=True):
        text = "".join("abcdXYEB"[symbol] for symbol in row[:length])
        assert re.fullmatch(r"E[abcdXY]*B", text)
        places = [i for i, letter in enumerate(text) if letter in "XY"]
        assert all(begin <= place <= end for place, (begin, end) in zip(places, spans, strict=True))
        assert classes[answer] == tuple(text[place] for place in places)
    assert found.target.unique().numel() == 2**marks and set(found.lengths.tolist()) == set(range(100, 111))


def test_what_is_copied_was_read():
    found = make_problem("copy-memory", lag=7, symbols=3).examples(0, range(20))
    for read, target in zip(symbols(found.x), found.target.tolist(), strict=True):
        assert read[10:] == [3] * 6 + [4] + [3] * 10  # T - 1 blanks, the delimiter, ten blanks
        assert target == [3] * 17 + read[:10] and max(read[:10]) < 3


def test_the_first_symbol_is_recalled():
    found = make_problem("delayed-recall", lag=6, symbols=3).examples(0, range(50))
    for read, answer in zip(symbols(found.x), found.target[:, 0].tolist(), strict=True):
        assert read[0] == answer < 3 and all(3 <= symbol < 6 for symbol in read[1:6]) and read[6:] == [6]


def test_noise_free_lags_end_as_they_begin():
    regular = make_problem("long-lag-2a", lag=5).examples(0, range(20))
    for read, target in zip(symbols(regular.x), regular.target.tolist(), strict=True):
        assert read[0] in (4, 5) and read[1:] == [0, 1, 2, 3] and target == [0, 1, 2, 3, read[0]]
    drawn = make_problem("long-lag-2b", lag=5).examples(0, range(200))
    seen = {tuple(read[1:]) for read in symbols(drawn.x)}
    assert len(seen) > 100 and {symbol for read in seen for symbol in read} == {0, 1, 2, 3}
    assert (drawn.target[:, -1] == drawn.x[:, 0].argmax(1)).all()


def test_triggers_come_after_a_geometric_wait():
    found = make_problem("long-lag-2c", lag=20).examples(0, range(2000))
    e, b, x = 20, 21, 22
    for read, answer, length in zip(symbols(found.x), found.target[:, 0].tolist(), found.lengths.tolist(), strict=True):
        assert read[0] == b and read[1] == x + answer and read[length - 1] == e and max(read[2 : length - 1]) < 20
    assert found.lengths.min() == 23
    assert float(found.lengths.float().mean()) + 1 == pytest.approx(20 + 4 + 9, abs=1)  # q + 4 and the mean of k
    assert len(set(symbols(found.x)[0][2:20])) > 5


@pytest.mark.parametrize("variant", ["3a", "3b", "3c"])
def test_the_first_three_numbers_tell(variant):
    found = make_problem(f"two-sequence-{variant}").examples(0, range(3000))
    first, rest = found.x[:, :3, 0], found.x[:, 3:100, 0]
    truth = found.truth[:, 0, 0]
    low, high = (0.2, 0.8) if variant == "3c" else (0.0, 1.0)
    torch.testing.assert_close(truth, torch.where(first.sum(1) > 0, high, low), rtol=0, atol=0.7)
    assert (truth == high).float().mean() == pytest.approx(0.5, abs=0.04)
    assert rest.var() == pytest.approx(0.2, abs=0.005)
    assert first.abs().std() == pytest.approx(0 if variant == "3a" else 0.2**0.5, abs=0.05)
    noise = found.target[:, 0, 0] - truth
    assert noise.var() == pytest.approx(0.1 if variant == "3c" else 0, abs=0.01)


def test_the_best_answer_to_noise_is_its_posterior():
    problem = make_problem("two-sequence-3c")
    found = problem.examples(0, range(3))
    x = torch.tensor([[0.1, -0.2, 0.15], [0.0, 0.0, 0.0], [0.3, 0.1, -0.3]])
    found.x[:, :3, 0] = x
    likely = [torch.exp(-((x - mean) ** 2) / (2 * 0.2)).prod(1) for mean in (1.0, -1.0)]
    torch.testing.assert_close(problem.optimal(found)[:, 0, 0], 0.2 + 0.6 * likely[0] / (likely[0] + likely[1]))


INNER = r"B(TS*X(XT*V(PXT*V)*(PS|V)|S)|PT*V(PXT*V)*(PS|V))E"
STRING = re.compile(rf"B(?:T{INNER}T|P{INNER}P)E")


def legal(prefix, strings):
    return {text[len(prefix)] for text in strings if text.startswith(prefix)}


def reber_strings():
    """Every string of the embedded grammar whose inner string has 8 symbols at most: all texts, sifted."""
    inner = re.compile(INNER)
    texts = ("B" + "".join(text) + "E" for length in range(3, 7) for text in product("TPSXV", repeat=length))
    return {f"B{outer}{text}{outer}E" for text in texts if inner.fullmatch(text) for outer in "TP"}


def test_reber_strings_and_what_may_follow():
    whole = reber_strings()
    assert min(map(len, whole)) == 9 and "BTBTXSETE" in whole and "BPBTXSETE" not in whole
    found = make_problem("embedded-reber").examples(0, range(60))
    texts = set()
    for row, (read, length) in enumerate(zip(symbols(found.x), found.lengths.tolist(), strict=True)):
        text = "".join(ALPHABET[symbol] for symbol in read[:length])
        named = [{ALPHABET[i] for i in step.nonzero().flatten().tolist()} for step in found.target[row, :length]]
        assert STRING.fullmatch(text + "E"), text
        texts.add(text)
        for step in range(6):  # behind longer ones, strings that the list is too short for may follow
            assert named[step] == legal(text[: step + 1], whole)
        assert named[-2:] == [{text[1]}, {"E"}]
    assert len(texts) > 20


def test_every_reber_prefix_has_the_followers_of_the_grammar():
    """Drawn strings show all of them: what may follow a prefix is what follows it somewhere, and nothing else."""
    found = make_problem("embedded-reber").examples(0, range(3000))
    follows, named = {}, {}
    for row, length in zip(symbols(found.x), found.lengths.tolist(), strict=True):
        text = "".join(ALPHABET[symbol] for symbol in row[:length]) + "E"
        for step in range(min(length, 7)):
            follows.setdefault(text[: step + 1], set()).add(text[step + 1])
    for read, target in zip(symbols(found.x), found.target, strict=True):
        text = "".join(ALPHABET[symbol] for symbol in read[:7])
        for step in range(7):
            named[text[: step + 1]] = {ALPHABET[i] for i in target[step].nonzero().flatten().tolist()}
    assert named == follows


def test_reber_strings_are_as_long_as_the_lag():
    found = make_problem("embedded-reber", lag=30).examples(0, range(100))
    texts = [
        "".join(ALPHABET[s] for s in row[:n]) for row, n in zip(symbols(found.x), found.lengths.tolist(), strict=True)
    ]
    assert all(STRING.fullmatch(text + "E") for text in texts)
    assert 30 <= min(len(text) - 2 for text in texts) <= 31  # places of the second symbol and of its return


@pytest.mark.parametrize(("name", "letters"), [("anbn", "ab"), ("anbncn", "abc")])
def test_what_may_follow_is_what_goes_on_to_a_string_of_the_language(name, letters):
    problem = make_problem(name, lag=4)
    language = ["".join(letter * n for letter in letters) + "T" for n in range(8)]
    found = problem.strings([1, 2, 3, 4])
    for row, n in enumerate((1, 2, 3, 4)):
        text = language[n][:-1]
        assert found.lengths[row] == len(text) + 1
        assert symbols(found.x)[row][: len(text) + 1] == [0, *(letters.index(letter) + 1 for letter in text)]
        for step in range(len(text) + 1):
            named = {(letters + "T")[i] for i in found.target[row, step].nonzero().flatten().tolist()}
            assert named == legal(text[:step], language)
    drawn = problem.examples(0, range(200))
    assert set(drawn.lengths.tolist()) == {1 + len(letters) * n for n in (1, 2, 3, 4)}


def test_delays_are_those_between_spikes():
    found = make_problem("spike-delays", lag=7).examples(0, range(100))
    more = []
    for x, target, mask, length in zip(found.x[..., 0], found.target[..., 0], found.mask, found.lengths, strict=True):
        times = x.nonzero().flatten()
        assert times[0] == 0 and times[-1] == length - 1 and len(times) == 11
        assert mask.nonzero().flatten().tolist() == times[1:].tolist()
        more += (times.diff() - 7).tolist()
        assert (times.diff() - 7).tolist() == target[times[1:]].tolist()
    assert set(more) == {0, 1} and np.mean(more) == pytest.approx(0.5, abs=0.07)


def test_spikes_come_when_what_is_read_says():
    found = make_problem("timed-spikes", lag=7).examples(0, range(50))
    for x, target, length in zip(found.x[..., 0], found.target[..., 0], found.lengths.tolist(), strict=True):
        wanted, place = [0], 0
        while place < length - 1:
            interval = 7 + int(x[place])
            assert x[place : place + interval].unique().numel() == 1
            place += interval
            wanted.append(place)
        assert target.nonzero().flatten().tolist() == wanted and len(wanted) == 11


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [("cosine", [0, -1, 0, 1]), ("triangle", [0, -1, 0, 1]), ("rectangle", [1, -1, -1, 1])],
)
def test_functions_repeat(shape, wanted):
    found = make_problem("periodic", lag=4, shape=shape).examples(0, range(2))
    torch.testing.assert_close(found.target[0, :, 0], torch.tensor(wanted * 10, dtype=torch.float32))
    assert found.x.eq(0).all() and torch.equal(found.target[0], found.target[1])
