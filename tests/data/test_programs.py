"""Generated programs beside Python itself, and their parts and levels."""

import contextlib
import io
import random

import pytest

from recurra.data.programs import ALPHABET, SPLITS, Level, draw, draw_of, mixed, problems, split_of


def printed(code):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})  # what this test is for
    return output.getvalue()


@pytest.mark.parametrize("level", [Level(1, 1), Level(3, 2), Level(5, 4), Level(2, 12)])
def test_programs_print_what_python_prints(level):
    generator = random.Random(0)
    for _ in range(300):
        program = draw("programs", level, generator)
        assert printed(program.code) == program.output + "\n"
        assert set(program.code + program.output) <= set(ALPHABET)


def test_every_operation_comes():
    generator = random.Random(1)
    text = "\n".join(draw("programs", Level(3, 3), generator).code for _ in range(200))
    for sign in ("+", "-", "*", " if ", "<", ">", "for x in range(", "+=", "-=", "="):
        assert sign in text


def test_numbers_have_the_digits_that_are_asked_for():
    generator = random.Random(2)
    for _ in range(100):
        one, _, other = draw("addition", Level(9, 1), generator).code[len("print(") : -1].partition("+")
        assert len(one) == len(other) == 9
        assert len(draw("copy", Level(12, 1), generator).code) == 12


def test_parts_have_no_problem_in_common_and_come_again():
    seen = {}
    for split in SPLITS:
        drawn = problems(split, "addition", Level(4, 1), seed=0)
        codes = [next(drawn).code for _ in range(500)]
        again = problems(split, "addition", Level(4, 1), seed=0)
        assert codes == [next(again).code for _ in range(500)]
        assert {split_of(code) for code in codes} == {split}
        seen[split] = set(codes)
    assert seen["train"].isdisjoint(seen["test"]) and seen["dev"].isdisjoint(seen["test"])


def test_a_level_without_problems_of_a_part_gives_others():
    class OneProblem(random.Random):
        def choices(self, *given, **options):
            return ["7"]

    program = draw_of("train" if split_of("7") != "train" else "dev", "copy", Level(1, 1), OneProblem())
    assert program.code == "7"


def test_mixed_levels_are_all_as_likely():
    generator = random.Random(3)
    counts = {}
    for _ in range(6_000):
        level = mixed(Level(3, 2), generator)
        counts[level] = counts.get(level, 0) + 1
    assert len(counts) == 6 and all(850 < count < 1150 for count in counts.values())
