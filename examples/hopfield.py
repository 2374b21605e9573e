"""Letters in a Hopfield network: stored by three rules, damaged, and recalled.

python examples/hopfield.py
"""

from pathlib import Path

import torch

from recurra.analysis.hopfield import flipped, identify
from recurra.data.patterns import Levels, read_patterns
from recurra.models.hopfield import Hopfield, Rule


def main() -> None:
    """H, O and P are much alike: Hebb's rule makes a mixture of them, which the projection takes apart."""
    letters = read_patterns(Path(__file__).parent / "letters", Levels())
    patterns = torch.from_numpy(letters.values).double()
    cues = flipped(patterns, 0.15, torch.Generator().manual_seed(3))
    rules: tuple[Rule, ...] = ("hebbian", "storkey", "pseudo-inverse")
    for rule in rules:
        network = Hopfield(patterns.shape[1], rule)
        network.store(patterns)
        found = network.recall(cues, generator=torch.Generator().manual_seed(3))
        falls = network.energy(cues) - network.energy(found.states)
        print(f"{rule}: energies fall by {falls.min():.1f} to {falls.max():.1f}")
        for name, likeness in zip(letters.names, identify(network.patterns, found.states), strict=True):
            like = " ".join(letters.names[place] for place in likeness.patterns)
            print(f"  {name} came to: {likeness.kind} {like}, m = {likeness.overlap:.2f}")


if __name__ == "__main__":
    main()
