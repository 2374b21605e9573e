"""A BLSTM-CRF tagger beside the same model on torch.nn: training and prediction, in sentences a second.

    python benchmarks/labelling.py [--threads 1 2] [--json benchmarks/results/labelling.json]

Both models have the same weights and read the same batches of UD English EWT (``recurra data get ud-english-ewt``):
words of 100 features, characters of 30 through a bidirectional LSTM of 50 units, 200 units of a bidirectional LSTM over
words, a linear-chain CRF (or a softmax) over the 17 universal tags; 32 sentences a batch. Their losses are compared
before anything is timed. The one on torch.nn is as its users write it: packed sequences through ``nn.LSTM``, and the
forward and Viterbi algorithms as loops over time. An update is loss, gradients, clipping and AdamW; prediction is the
best tags. Batches are ready before the clock runs. The two take turns; a ratio is that of turns side by side.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.bench.machine import describe_machine
from recurra.bench.timing import alternate, spread
from recurra.cells.torch_weights import from_torch
from recurra.files import write_text
from recurra.models.tagger import Sentences, Tagger
from recurra.tasks.sources import Sources
from recurra.tasks.tagging import task
from recurra.tasks.tagging.config import Config

BATCHES = 12
OUTPUTS = ("crf", "softmax")


class Plain(nn.Module):
    """The tagger as one would write it in torch."""

    def __init__(self, words: int, characters: int, tags: int, crf: bool) -> None:
        super().__init__()
        self.words, self.characters = nn.Embedding(words, 100), nn.Embedding(characters, 30)
        self.spelling = nn.LSTM(30, 50, batch_first=True, bidirectional=True)
        self.layers = nn.LSTM(200, 200, batch_first=True, bidirectional=True)
        self.output = nn.Linear(400, tags)
        if crf:
            self.begin, self.end = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))
            self.transitions = nn.Parameter(torch.zeros(tags, tags))

    def forward(self, given: Sentences) -> Tensor:
        packed = pack_padded_sequence(
            self.characters(given.spellings), given.letters, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.spelling(packed)
        spelt = torch.cat([last[0], last[1]], dim=1)[given.spelt]
        x = torch.cat([self.words(given.words), spelt], dim=2)
        packed = pack_padded_sequence(x, given.lengths, batch_first=True, enforce_sorted=False)
        return self.output(pad_packed_sequence(self.layers(packed)[0], batch_first=True)[0])

    def loss(self, given: Sentences, tags: Tensor) -> Tensor:
        e, inside = self(given), steps(given)
        if not hasattr(self, "begin"):
            return nn.functional.cross_entropy(e[inside], tags[inside], reduction="sum")
        rows = torch.arange(len(tags))
        score = self.begin[tags[:, 0]] + e[rows, 0, tags[:, 0]]
        alpha = self.begin + e[:, 0]
        for t in range(1, e.shape[1]):
            on = inside[:, t]
            score = score + (self.transitions[tags[:, t - 1], tags[:, t]] + e[rows, t, tags[:, t]]) * on
            following = torch.logsumexp(alpha.unsqueeze(2) + self.transitions + e[:, t].unsqueeze(1), dim=1)
            alpha = torch.where(on.unsqueeze(1), following, alpha)
        score = score + self.end[tags[rows, given.lengths - 1]]
        return (torch.logsumexp(alpha + self.end, dim=1) - score).sum()

    @torch.no_grad()
    def best(self, given: Sentences) -> Tensor:
        e, inside = self(given), steps(given)
        if not hasattr(self, "begin"):
            return e.argmax(2).masked_fill(~inside, -1)
        score, back = self.begin + e[:, 0], []
        for t in range(1, e.shape[1]):
            best, before = (score.unsqueeze(2) + self.transitions).max(dim=1)
            on = inside[:, t].unsqueeze(1)
            score = torch.where(on, best + e[:, t], score)
            back.append(torch.where(on, before, torch.arange(e.shape[2])))
        tags = [(score + self.end).argmax(1)]
        for before in reversed(back):
            tags.append(before.gather(1, tags[-1].unsqueeze(1)).squeeze(1))
        return torch.stack(tags[::-1], dim=1).masked_fill(~inside, -1)


def steps(given: Sentences) -> Tensor:
    return torch.arange(given.words.shape[1]) < given.lengths.unsqueeze(1)


@torch.no_grad()
def copy_weights(plain: Plain, model: Any) -> None:
    model.features.embedding.load_state_dict(plain.words.state_dict())
    model.features.spelling.embedding.load_state_dict(plain.characters.state_dict())
    for module, layer in ((plain.spelling, model.features.spelling.layer), (plain.layers, model.layers.layers[0])):
        layer.forwards.cell.load_state_dict(from_torch(module).state_dict())
        layer.backwards.cell.load_state_dict(from_torch(module, reverse=True).state_dict())
    model.output.load_state_dict(plain.output.state_dict())
    if model.crf is not None:
        for mine, theirs in (
            (plain.begin, model.crf.a),
            (plain.end, model.crf.b),
            (plain.transitions, model.crf.sums.cell.A),
        ):
            nn.init.normal_(mine, std=0.1)
            theirs.copy_(mine)


def trainer(model: nn.Module, batches: list[Any]) -> Callable[[], None]:
    """An update for each batch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def call() -> None:
        for given, tags in batches:
            optimizer.zero_grad()
            loss: Any = model.loss(given, tags) / given.lengths.sum()  # type: ignore[operator]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return call


def predictor(model: Any, batches: list[Any]) -> Callable[[], None]:
    def call() -> None:
        for given, _ in batches:
            model.best(given)

    return call


def measure(output: str, threads: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = Config(output=output, dropout=0.0, word_dropout=0.0, batch_size=32)
    data = task.read(Sources.named(("ud-english-ewt",), None, None), config)
    known = data.known
    plain = Plain(len(known.words), len(known.characters), len(known.tags), output == "crf")
    model: Tagger = task.build(config, data)
    copy_weights(plain, model)
    every = task.problem(config, data, model).batches(0)
    batches = [every[number] for number in range(BATCHES)]
    for given, tags in batches[:3]:
        torch.testing.assert_close(model.loss(given, tags), plain.loss(given, tags), rtol=1e-4, atol=0)
    models = {"recurra": model, "torch": plain}
    found = {}
    sentences = sum(len(given.lengths) for given, _ in batches)
    for what, make in (("prediction", predictor), ("training", trainer)):
        seconds = alternate({name: make(each, batches) for name, each in models.items()}, rounds)
        ratios = [theirs / own for own, theirs in zip(seconds["recurra"], seconds["torch"], strict=True)]
        rates = {name: round(sentences / spread(values).median) for name, values in seconds.items()}
        found[what] = {
            "sentences_per_second": rates,
            "speedup": spread(ratios).to_json(),
            "seconds": {name: spread(values).to_json() for name, values in seconds.items()},
        }
        print(
            f"{output:7} {threads} threads {what:10}  sentences/s {rates['recurra']:6,} and {rates['torch']:6,} on "
            f"torch.nn: {found[what]['speedup']['median']:.2f} times as fast",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", nargs="+", choices=OUTPUTS, default=list(OUTPUTS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each model")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cases = {}
    for output in given.outputs:
        for threads in given.threads:
            cases[f"{output}, threads {threads}"] = measure(output, threads, given.rounds)
    result = {
        "command": " ".join(["python", "benchmarks/labelling.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "batches": BATCHES,
        "cases": cases,
    }
    if given.json is not None:
        write_text(given.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
