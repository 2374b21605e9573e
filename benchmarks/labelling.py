"""Taggers and a classifier beside the same models on torch.nn: training and prediction, in sentences a second.

    python benchmarks/labelling.py [--models crf] [--threads 1 2] [--json benchmarks/results/labelling.json]

Each pair has the same weights and reads the same batches of 32 sentences; their losses are compared before anything is
timed. The taggers read UD English EWT (``recurra data get ud-english-ewt``): words of 100 features, characters of 30
through a bidirectional LSTM of 50 units, 200 units of a bidirectional LSTM over words, a linear-chain CRF or a softmax
over the 17 universal tags. The classifier reads SST-2: words of 100 features, a bidirectional LSTM of 100 units, the
largest output of all steps, two classes. The models on torch.nn are as their users write them: packed sequences through
``nn.LSTM``, the forward and Viterbi algorithms as loops over time. An update is loss, gradients, clipping and AdamW;
prediction is the best tags or the likeliest class. Batches are ready before the clock runs, and freed memory is kept
for the next buffers, as in Recurra's trainer, for both. The two take turns; a ratio is that of turns side by side.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.bench.machine import describe_machine
from recurra.bench.timing import alternate, spread
from recurra.cells.torch_weights import from_torch
from recurra.files import write_text
from recurra.models.tagger import Sentences
from recurra.tasks.sources import Sources
from recurra.tasks.task import load_task
from recurra.training.memory import keeping_freed_memory

BATCHES = 12


class PlainTagger(nn.Module):
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


class PlainClassifier(nn.Module):
    """The classifier as one would write it in torch."""

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, 100)
        self.layers = nn.LSTM(100, 100, batch_first=True, bidirectional=True)
        self.output = nn.Linear(200, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.words(x), lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.layers(packed)[0], batch_first=True, padding_value=-torch.inf)
        return self.output(outputs.amax(1))


class Pair(NamedTuple):
    """Two models with the same weights, as functions of a batch."""

    losses: dict[str, Callable[[Any], Tensor]]
    answers: dict[str, Callable[[Any], Any]]
    models: dict[str, nn.Module]
    batches: list[Any]
    sentences: int


def tagger(output: str) -> Pair:
    task: Any = load_task("tagging")
    config = task.Config(output=output, dropout=0.0, word_dropout=0.0, batch_size=32)
    data = task.read(Sources.named(("ud-english-ewt",), None, None), config)
    known = data.known
    plain = PlainTagger(len(known.words), len(known.characters), len(known.tags), output == "crf")
    model = task.build(config, data)
    with torch.no_grad():
        load(model.features.embedding, plain.words)
        load(model.features.spelling.embedding, plain.characters)
        load_directions(model.features.spelling.layer, plain.spelling)
        load_directions(model.layers.layers[0], plain.layers)
        load(model.output, plain.output)
        if model.crf is not None:
            theirs = model.crf.a, model.crf.b, model.crf.sums.cell.A
            for mine, other in zip((plain.begin, plain.end, plain.transitions), theirs, strict=True):
                other.copy_(nn.init.normal_(mine, std=0.1))
    every = task.problem(config, data, model).batches(0)
    batches = [every[number] for number in range(BATCHES)]
    models = {"recurra": model, "torch": plain}
    return Pair(
        {name: lambda batch, each=each: each.loss(*batch) / batch[0].lengths.sum() for name, each in models.items()},
        {name: lambda batch, each=each: each.best(batch[0]) for name, each in models.items()},
        models,
        batches,
        sum(len(given.lengths) for given, _ in batches),
    )


def classifier() -> Pair:
    task: Any = load_task("classification")
    config = task.Config(unit="pretokenised", hidden_size=100, embedding_size=100, pooling="max", batch_size=32)
    data = task.read(Sources.named(("sst-2",), None, None), config)
    model = task.build(config, data)
    plain = PlainClassifier(model.reader.embedding.num_embeddings, 2)
    load(model.reader.embedding, plain.words)
    load_directions(model.layers.layers[0], plain.layers)
    load(model.output, plain.output)
    every = task.problem(config, data, model).batches(0)
    batches = [every[number] for number in range(BATCHES)]
    models = {"recurra": model, "torch": plain}
    return Pair(
        {
            name: lambda batch, each=each: nn.functional.cross_entropy(each(*batch[0]), batch[1])
            for name, each in models.items()
        },
        {name: lambda batch, each=each: each(*batch[0]).softmax(1) for name, each in models.items()},
        models,
        batches,
        sum(len(targets) for _, targets in batches),
    )


PAIRS: dict[str, Callable[[], Pair]] = {
    "crf": partial(tagger, "crf"),
    "softmax": partial(tagger, "softmax"),
    "classifier": classifier,
}


def load(own: nn.Module, other: nn.Module) -> None:
    own.load_state_dict(other.state_dict())


def load_directions(layer: Any, other: nn.LSTM) -> None:
    load(layer.forwards.cell, from_torch(other))
    load(layer.backwards.cell, from_torch(other, reverse=True))


def trainer(pair: Pair, name: str) -> Callable[[], None]:
    """An update for each batch."""
    weights = list(pair.models[name].parameters())
    optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=True)

    def call() -> None:
        for batch in pair.batches:
            optimizer.zero_grad()
            pair.losses[name](batch).backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()

    return call


def predictor(pair: Pair, name: str) -> Callable[[], None]:
    def call() -> None:
        with torch.no_grad():
            for batch in pair.batches:
                pair.answers[name](batch)

    return call


def measure(name: str, threads: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pair = PAIRS[name]()
    for batch in pair.batches[:3]:
        torch.testing.assert_close(pair.losses["recurra"](batch), pair.losses["torch"](batch), rtol=1e-4, atol=0)
    found = {}
    for what, make in (("prediction", predictor), ("training", trainer)):
        seconds = alternate({each: make(pair, each) for each in pair.models}, rounds)
        ratios = [theirs / own for own, theirs in zip(seconds["recurra"], seconds["torch"], strict=True)]
        rates = {each: round(pair.sentences / spread(values).median) for each, values in seconds.items()}
        found[what] = {
            "sentences_per_second": rates,
            "speedup": spread(ratios).to_json(),
            "seconds": {each: spread(values).to_json() for each, values in seconds.items()},
        }
        print(
            f"{name:10} {threads} threads {what:10}  sentences/s {rates['recurra']:6,} and {rates['torch']:6,} on "
            f"torch.nn: {found[what]['speedup']['median']:.2f} times as fast",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each model")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cases = {}
    with keeping_freed_memory():
        for name in given.models:
            for threads in given.threads:
                cases[f"{name}, threads {threads}"] = measure(name, threads, given.rounds)
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
