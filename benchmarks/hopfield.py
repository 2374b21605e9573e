"""What Hopfield networks hold: capacity and basins of three rules, spurious states, and the continuous network.

    python benchmarks/hopfield.py [--json benchmarks/results/hopfield.json] [--chart benchmarks/results/hopfield.png]

Random patterns, asynchronous updates to the end, ten seeds; a figure is their mean, with its standard error. Wrong
units are those that differ between a stored pattern and what the network comes to from it. Basins are the largest share
of flipped units from which a pattern still comes back with an overlap of 0.95. Ends are where random starts end.
The continuous network (beta 1) is given binary patterns of which a tenth of the units are flipped, and has one update:
counted is how many patterns it may hold, doubled as long as 95 of 100 come back with no value off by 0.1.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recurra.analysis.hopfield import (
    basin_size,
    capacity_curve,
    flipped,
    random_patterns,
    spread,
    spurious_states,
)
from recurra.bench.machine import describe_machine
from recurra.files import replacing, write_text
from recurra.models.hopfield import Hopfield
from recurra.models.modern_hopfield import ModernHopfield
from recurra.tasks.charts import COLOURS

RULES = ("hebbian", "storkey", "pseudo-inverse")
CAPACITY_UNITS, BASIN_UNITS, SPURIOUS_UNITS, CONTINUOUS_UNITS = (100, 400), 200, 200, (12, 16, 20, 24, 28, 32, 36)
LOADS = (0.04, 0.08, 0.1, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)
BASIN_LOADS, SPURIOUS_LOADS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9), (0.02, 0.05, 0.1)
BREAKDOWN = 0.138
MOST = 2**17


def rounded(values: tuple[float, float]) -> dict[str, float]:
    return {"mean": round(values[0], 5), "standard error": round(values[1], 5)}


def capacities(seeds: range) -> list[dict[str, Any]]:
    found = []
    for units in CAPACITY_UNITS:
        counts = sorted({round(load * units) for load in LOADS})
        for rule in RULES:
            for point in capacity_curve(random_patterns(units), counts, rule, seeds=seeds):
                wrong, recalled = rounded(spread(point.wrong)), rounded(spread(point.recalled))
                place = {"rule": rule, "units": units, "patterns": point.patterns, "load": point.load}
                found.append({**place, "wrong units": wrong, "recalled": recalled})
    return found


def networks(rule: str, load: float, units: int, seeds: range) -> list[tuple[Hopfield, torch.Generator]]:
    made = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        network = Hopfield(units, rule)
        network.store(random_patterns(units)(round(load * units), generator))
        made.append((network, generator))
    return made


def basins(seeds: range) -> list[dict[str, Any]]:
    found = []
    for rule in RULES:
        for load in BASIN_LOADS:
            sizes = [basin_size(*each) for each in networks(rule, load, BASIN_UNITS, seeds)]
            found.append({"rule": rule, "units": BASIN_UNITS, "load": load, "basin": rounded(spread(sizes))})
    return found


def ends(seeds: range, starts: int = 500) -> list[dict[str, Any]]:
    """Where random starts end, in shares of the starts."""
    found = []
    for rule in RULES:
        for load in SPURIOUS_LOADS:
            each = [
                spurious_states(network, starts, generator).starts
                for network, generator in networks(rule, load, SPURIOUS_UNITS, seeds)
            ]
            kinds = ("stored", "negative", "mixture", "spurious")
            shares = {kind: round(mean(one.get(kind, 0) / starts for one in each), 4) for kind in kinds}
            found.append({"rule": rule, "units": SPURIOUS_UNITS, "load": load, "ends": shares})
    return found


def continuous(seeds: range) -> list[dict[str, Any]]:
    """The largest power of 2 that is held."""
    found = []
    for units in CONTINUOUS_UNITS:
        held = []
        for seed in seeds:
            count = 2
            while count <= MOST and _comes_back(units, count, seed) >= 0.95:
                count *= 2
            held.append(math.log2(count / 2))
        logarithm = spread(held)
        found.append({"units": units, "log2 of patterns": rounded(logarithm), "patterns": round(2 ** logarithm[0])})
    return found


def _comes_back(units: int, count: int, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    patterns = random_patterns(units)(count, generator)
    wanted = patterns[:100]
    states = ModernHopfield(patterns, 1.0)(flipped(wanted, 0.1, generator))
    return float(((states - wanted).abs().amax(1) < 0.1).double().mean())


def in_theory(load: float) -> float:
    """Wrong units of Hebb's rule for infinitely many: Amit, Gutfreund and Sompolinsky (1985), at temperature 0.

    The overlap is m = erf(t), with the largest t for which t (√(2α) + 2/√π exp(-t²)) = erf(t).
    """
    t = 6.0
    while t > 0 and t * (math.sqrt(2 * load) + 2 / math.sqrt(math.pi) * math.exp(-t * t)) > math.erf(t):
        t -= 1e-4
    return (1 - math.erf(t)) / 2


def draw(path: Path, result: dict[str, Any]) -> None:
    figure = Figure(figsize=(14, 4.2), dpi=110, layout="constrained")
    whole, near, mended = figure.subplots(1, 3)
    for rule, colour in zip(RULES, COLOURS, strict=False):
        for units, style in zip(CAPACITY_UNITS, (":", "-"), strict=True):
            points = [each for each in result["capacity"] if (each["rule"], each["units"]) == (rule, units)]
            for axes in (whole, near) if rule == "hebbian" else (whole,):
                _curve(axes, points, "wrong units", color=colour, linestyle=style, label=f"{rule}, {units} units")
        points = [each for each in result["basins"] if each["rule"] == rule]
        _curve(mended, points, "basin", color=colour, label=rule)
    loads = [number / 1000 for number in range(20, 138)]  # beyond, no overlap but 0 solves the equation
    near.plot(loads, [100 * in_theory(load) for load in loads], color="black", label="theory, infinitely many")
    near.axvline(BREAKDOWN, color="black", linestyle="--", linewidth=0.8)
    near.set_xticks([0, 0.05, 0.1, 0.15, 0.2])
    near.text(BREAKDOWN + 0.002, 9.5, "0.138 N", fontsize=8)
    for axes, title, right, top in (
        (whole, "Wrong in what stored patterns come to", 1, 55),
        (near, "The same, Hebb's rule near its capacity", 0.2, 15),
        (mended, f"Damage that is mended, {BASIN_UNITS} units", 1, 50),
    ):
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("patterns for each unit, P/N")
        axes.set_ylabel("flipped units, %" if axes is mended else "wrong units, %")
        axes.set_xlim(0, right)
        axes.set_ylim(0, top)
        place = "upper left" if axes is near else "upper right"
        axes.legend(frameon=False, fontsize=8, loc=place, ncols=2 if axes is whole else 1)
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as part:
        FigureCanvasAgg(figure).print_png(part)


def _curve(axes: Axes, points: list[dict[str, Any]], name: str, **look: Any) -> None:
    means, errors = ([100 * point[name][part] for point in points] for part in ("mean", "standard error"))
    axes.errorbar([point["load"] for point in points], means, errors, marker=".", markersize=4, capsize=2, **look)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what Hopfield networks hold.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/hopfield.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "seeds": options.seeds,
    }
    for name, measure in (("capacity", capacities), ("basins", basins), ("ends", ends), ("continuous", continuous)):
        result[name] = measure(range(options.seeds))
        print(name, json.dumps(result[name], indent=1), flush=True)
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1) + "\n")
    if options.chart is not None:
        draw(options.chart, result)


if __name__ == "__main__":
    main()
