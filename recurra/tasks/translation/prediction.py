"""Translations of new texts, a line for each."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data import standard_input
from recurra.data.parallel import composed, read_texts
from recurra.errors import BadInput
from recurra.tasks.translation.reading import Sides, check_direction, columns_of, plain
from recurra.tasks.translation.search import Search
from recurra.tasks.translation.translating import shortened, translate

if TYPE_CHECKING:
    from recurra.tasks.run import Run

AT_ONCE = 2_000
"""Texts that are sorted by length together, so that a batch pads little."""


def predict(
    run: "Run", source: str, *, stream: bool, beam: int | None = None, n_best: int | None = None
) -> Iterator[str]:
    """The translation of each line, in order; an empty line stays one.

    Args:
        source: a file of a text a line, a table whose sources are meant, or "-" for standard input.
        stream: translate each line as it comes.
        beam: hypotheses that are kept; as in the run's configuration where it is not given.
        n_best: so many translations of each text; their lines are the source, the translation and log P, with tabs.

    Raises:
        BadInput: the input cannot be read, or ``n_best`` is more than the beam.
    """
    config = run.config
    sides = Sides.load(run.path, config)
    search = Search(beam or config.beam, config.length_penalty, n_best or 1)
    if search.n_best > search.beam:
        raise BadInput(f"--n-best {search.n_best}: a beam of {search.beam} keeps no more than that; raise --beam")
    texts = _standard_input() if source == "-" else _file(source, run)
    at_once = 1 if stream or (source == "-" and sys.stdin.isatty()) else AT_ONCE
    while block := list(islice(texts, at_once)):
        full = [(text, place) for text, place in block if text.strip()]
        tokens = [sides.source.encode(text) for text, _ in full]
        for number, (one, (_, place)) in enumerate(zip(tokens, full, strict=True)):
            tokens[number] = shortened(one, sides.source.longest)
            if len(tokens[number]) < len(one):
                print(f"{place}: only its first {sides.source.longest:,} tokens are read", file=sys.stderr)
        found = iter(translate(run.model, tokens, search) if tokens else [])
        for text, _ in block:
            best = next(found) if text.strip() else []
            if n_best is None:
                yield (sides.target.decode(best[0].tokens) if best else "") + "\n"
            for each in best if n_best is not None else ():
                columns = plain(text, lower=False), sides.target.decode(each.tokens), f"{each.log_probability:.6g}"
                yield "\t".join(columns) + "\n"


def _standard_input() -> Iterator[tuple[str, str]]:
    for number, line in enumerate(standard_input.lines(), 1):
        yield composed(line), f"standard input: line {number}"


def _file(name: str, run: "Run") -> Iterator[tuple[str, str]]:
    path = Path(name)
    if not path.exists():
        raise BadInput(f"{name}: no such file; check the path")
    check_direction(path, run.sources, run.config)
    return read_texts(path, columns_of(run.sources, run.config))
