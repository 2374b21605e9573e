"""What a translator's run shows: how it learnt, what it scored, what it attends to, and how length matters."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra.decoding.growth import Growth
from recurra.metrics.translation import sentence_bleu, translation_scores
from recurra.tasks.charts import BLUE, GREY, chart, draw_bars
from recurra.tasks.pictures import draw_run, picture_folder
from recurra.tasks.translation.batches import batch
from recurra.tasks.translation.reading import BOUNDARY, Pairs, Part
from recurra.tasks.translation.scoring import Answer, answers
from recurra.tasks.translation.translating import translate

if TYPE_CHECKING:
    from recurra.tasks.run import Run

SHOWN = 5
"""Sentences that a report quotes of the best and of the worst."""

MAPS = 3
"""Sentences whose attention is drawn."""

WIDE = 12
"""Tokens of a sentence that makes a good picture."""

DRAWN = 60
"""Tokens of a sentence, and steps of a search, that are drawn; what is behind them is not."""

LENGTHS = (10, 15, 20, 30, 50)
"""Words of a source where a group of lengths ends."""


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and, where it has finished, what it attends to and how length matters."""
    pictures = draw_run(run, unit="nats/token")
    if run.folder.finished:
        found = answers(run.model, run.data, run.data.test, run.data.search)
        pictures.append(_draw_by_length(picture_folder(run), found, "test"))
        pictures += _draw_attention(run, run.data)
        pictures.append(_draw_beam(run, run.data))
    return pictures


def report(run: "Run", data: Pairs, part: str) -> list[str]:
    """The picture of scores by length, and the sentences that were translated best and worst."""
    found = answers(run.model, data, getattr(data, part), data.search)
    lines = [str(_draw_by_length(picture_folder(run), found, part))]
    values = np.array([sentence_bleu(one.found, one.wanted) for one in found])
    order = np.argsort(values, kind="stable")
    lines.append("best and worst by BLEU of single sentences, which says little of each:")
    for number in (*order[::-1][:SHOWN], *order[:SHOWN]):
        one = found[number]
        lines.append(f"{values[number]:5.1f}  {one.source}\n       is     {one.found}\n       wanted {one.wanted}")
    return lines


def _draw_by_length(folder: Path, found: Sequence[Answer], part: str) -> Path:
    lengths = np.array([len(one.source.split()) for one in found])
    groups = np.searchsorted(LENGTHS, lengths)
    names = [*(f"to {length}" for length in LENGTHS), "more"]
    bars = {}
    for group, name in enumerate(names):
        own = [one for one, its in zip(found, groups, strict=True) if its == group]
        if own:
            bleu = translation_scores([one.found for one in own], [one.wanted for one in own], "")[0]
            bars[f"{name} ({len(own)})"] = bleu.value
    title = f"BLEU by words of the source, {part} part"
    return draw_bars(folder / f"by-length-{part}.png", bars, title=title, unit="%")


def _draw_attention(run: "Run", data: Pairs) -> list[Path]:
    """What some sentences of the test part attend to while they are written."""
    model, part, sides = run.model, data.test, data.sides
    device = next(model.parameters()).device
    if model.decoder.attention is None:
        return []
    pictures = []
    for place, number in enumerate(_shown(part)[:MAPS], 1):
        source, _ = part.pair(number)
        best = translate(model, [source], data.search)[0][0].tokens
        given = batch([(source, np.array(best))])
        with torch.no_grad():
            state = model.begin(given.source.to(device), given.source_lengths.to(device))
            weights = model.decoder.weights(torch.tensor([[BOUNDARY, *best[:-1]]], device=device), state)[0]
        path = picture_folder(run) / f"attention-{place}.png"
        names = sides.source.pieces(source.tolist())[:DRAWN], sides.target.pieces(best)[:DRAWN]
        pictures.append(_draw_map(path, weights.cpu().numpy()[:DRAWN, :DRAWN], *names))
    return pictures


def _shown(part: Part) -> list[int]:
    """The sentences of a part, those first that are about as long as a picture is wide."""
    return np.argsort(np.abs(part.lengths - WIDE), kind="stable").tolist()


def _draw_beam(run: "Run", data: Pairs) -> Path:
    """The hypotheses that a search kept for a sentence of the test part, as a tree; the best one in colour."""
    source, _ = data.test.pair(_shown(data.test)[0])
    search = data.search._replace(beam=max(2, data.search.beam))
    grown: list[Growth] = []
    (best,) = translate(run.model, [source], search, watch=grown.append)
    tokens, grown = best[0].tokens, grown[:DRAWN]
    seen = sorted({token for growth in grown for token in growth.tokens[0].tolist()})
    names = dict(zip(seen, data.sides.target.pieces(seen), strict=True))
    texts: list[dict[int, list[int]]] = []
    path = picture_folder(run) / "beam.png"
    with chart(path, width=max(6.0, 1.5 + 0.95 * len(grown)), height=1.2 + 0.5 * search.beam) as axes:
        for position, growth in enumerate(grown):
            texts.append({})
            columns = (growth.parents[0].tolist(), growth.tokens[0].tolist(), growth.log_probabilities[0].tolist())
            for slot, (parent, token, log) in enumerate(zip(*columns, strict=True)):
                if log == -np.inf:
                    continue
                before = texts[position - 1].get(parent, []) if position else []
                texts[position][slot] = [*before, token]
                chosen = texts[position][slot] == tokens[: position + 1]
                colour = BLUE if chosen else GREY
                if position:
                    axes.plot([position - 0.62, position - 0.38], [parent, slot], color=colour, linewidth=1 + chosen)
                weight = "bold" if chosen else "normal"
                text = f"{names[token]}\n{log:.1f}"
                shown = axes.text(
                    position, slot, text, ha="center", va="center", fontsize=7, color=colour, weight=weight
                )
                shown.set_parse_math(False)
        axes.set_xlim(-0.6, len(grown) - 0.4)
        axes.set_ylim(search.beam - 0.4, -0.6)
        axes.axis("off")
        axes.set_title("The beam: tokens and log P so far; in colour the translation", loc="left", fontsize=9)
    return path


def _draw_map(path: Path, weights: np.ndarray, read: list[str], written: list[str]) -> Path:
    size = 0.26
    with chart(path, width=2.0 + size * len(read), height=1.6 + size * len(written)) as axes:
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        style: dict[str, Any] = dict(fontsize=8, parse_math=False)
        axes.set_xticks(range(len(read)), read, rotation=60, ha="left", rotation_mode="anchor", **style)
        axes.set_yticks(range(len(written)), written, **style)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    return path
