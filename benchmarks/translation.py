"""A translator beside the same model on torch.nn: target tokens a second in training, sentences a second in decoding.

    python benchmarks/translation.py [--threads 1 2] [--json benchmarks/results/translation.json]

Multi30k, English to German (``recurra data get multi30k``): byte pairs, 5,000 of each side; words of 300 features, a
bidirectional LSTM of 400 units, general attention, an LSTM of 400 units whose embedding is the softmax's matrix, label
smoothing of 0.1. Both models have the
same weights and read the same batches of 64 pairs; losses and greedy translations are compared before anything is
timed. The model on torch.nn is as its users write it: packed sequences through ``nn.LSTM``, logits of the whole batch,
and searches in which every row goes on until all have ended. An update is loss, gradients, clipping and AdamW. Batches
are ready before the clock runs, and freed memory is kept for the next buffers, for both. The two take turns; a ratio is
that of turns side by side.

For decoding the weights are those of a model trained for ``--train`` updates (else hypotheses have no natural end).
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
from recurra.tasks.sources import Sources
from recurra.tasks.task import load_task
from recurra.tasks.translation.batches import Batch
from recurra.tasks.translation.reading import BOUNDARY
from recurra.tasks.translation.search import Search
from recurra.tasks.translation.translating import SPARE, translate
from recurra.training.memory import keeping_freed_memory

BATCHES, EMBEDDING, UNITS, BEAM, SMOOTHING = 8, 300, 400, 5, 0.1


class PlainTranslator(nn.Module):
    """The translator as one would write it in torch."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(source, EMBEDDING), nn.Embedding(target, EMBEDDING)
        self.encoder = nn.LSTM(EMBEDDING, UNITS, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        self.start_h, self.start_c = nn.Linear(4 * UNITS, UNITS), nn.Linear(4 * UNITS, UNITS)
        self.key = nn.Linear(2 * UNITS, UNITS, bias=False)
        self.combine = nn.Linear(3 * UNITS, EMBEDDING)
        self.output = nn.Linear(EMBEDDING, target)
        for embedding in (self.source, self.target):
            nn.init.uniform_(embedding.weight, -0.1, 0.1)
        self.output.weight = self.target.weight

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        packed = pack_padded_sequence(self.source(source), lengths, batch_first=True, enforce_sorted=False)
        values, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        ends = torch.cat([values[:, 0], values[torch.arange(len(values)), lengths - 1]], 1)
        outside = torch.arange(source.shape[1]) >= lengths.unsqueeze(1)
        h, c = torch.tanh(self.start_h(ends)), torch.tanh(self.start_c(ends))
        return values, self.key(values), outside, h.unsqueeze(0), c.unsqueeze(0)

    def decode(self, tokens: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        values, keys, outside, h, c = state
        outputs, (h, c) = self.decoder(self.target(tokens), (h, c))
        scores = (outputs @ keys.transpose(1, 2)).masked_fill(outside.unsqueeze(1), -torch.inf)
        contexts = scores.softmax(2) @ values
        attentional = torch.tanh(self.combine(torch.cat([contexts, outputs], 2)))
        return self.output(attentional), (values, keys, outside, h, c)

    def loss(self, batch: Batch) -> Tensor:
        logits, _ = self.decode(batch.given, self.encode(batch.source, batch.source_lengths))
        total = nn.functional.cross_entropy(
            logits.flatten(0, 1), batch.wanted.flatten(), reduction="sum", label_smoothing=SMOOTHING
        )
        return total / int(batch.lengths.sum())

    @torch.no_grad()
    def greedy(self, batch: Batch) -> list[list[int]]:
        state = self.encode(batch.source, batch.source_lengths)
        tokens = torch.full((len(batch.source), 1), BOUNDARY)
        ended, found = torch.zeros(len(tokens), dtype=torch.bool), []
        for _ in range(2 * int(batch.source_lengths.max()) + SPARE):
            logits, state = self.decode(tokens, state)
            tokens = logits.argmax(2)
            found.append(tokens)
            ended |= tokens[:, 0] == BOUNDARY
            if ended.all():
                break
        return [row[: row.index(BOUNDARY) + 1] if BOUNDARY in row else row for row in torch.cat(found, 1).tolist()]

    @torch.no_grad()
    def beam(self, batch: Batch) -> Tensor:
        rows = len(batch.source)
        values, keys, outside, h, c = self.encode(batch.source, batch.source_lengths)
        state = tuple(each.repeat_interleave(BEAM, 0) for each in (values, keys, outside))
        state += tuple(each.repeat_interleave(BEAM, 1) for each in (h, c))
        tokens = torch.full((rows * BEAM, 1), BOUNDARY)
        totals = torch.full((rows, BEAM), -torch.inf).index_fill_(1, torch.tensor([0]), 0.0)
        ended, found = torch.zeros(rows * BEAM, dtype=torch.bool), tokens
        for _ in range(2 * int(batch.source_lengths.max()) + SPARE):
            logits, state = self.decode(tokens, state)
            logs = logits[:, 0].log_softmax(1)
            logs[ended] = -torch.inf
            logs[ended, BOUNDARY] = 0.0  # what has ended stays as it is
            size = logs.shape[1]
            totals, best = (totals.view(-1, 1) + logs).view(rows, -1).topk(BEAM, 1)
            parents = (best // size + BEAM * torch.arange(rows).unsqueeze(1)).flatten()
            tokens = (best % size).view(-1, 1)
            state = (*(each[parents] for each in state[:3]), *(each[:, parents] for each in state[3:]))
            found, ended = torch.cat([found[parents], tokens], 1), ended[parents] | (tokens[:, 0] == BOUNDARY)
            if ended.all():
                break
        return found


def models(updates: int) -> tuple[dict[str, Any], list[Batch], Any]:
    """Both models with the same weights, batches, and the task's data."""
    task: Any = load_task("translation")
    config = task.Config(
        source="en", target="de", vocabulary_size=5_000, cell="lstm", hidden_size=UNITS, embedding_size=EMBEDDING,
        dropout=0.0, smoothing=SMOOTHING,
    )  # fmt: skip
    data = task.read(Sources.named(("multi30k",), None, None), config)
    plain = PlainTranslator(data.sides.source.size, data.sides.target.size)
    batches = task.problem(config, data, nn.Identity()).batches(0)
    fit(plain, batches, updates)
    model = task.build(config, data)
    copy(model, plain)
    return {"recurra": model, "torch": plain}, [batches[number] for number in range(BATCHES)], data


def fit(plain: PlainTranslator, batches: Any, updates: int) -> None:
    optimizer = torch.optim.AdamW(plain.parameters(), lr=2e-3, fused=True)
    for number in range(updates):
        optimizer.zero_grad()
        plain.loss(batches[number % len(batches)]).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()


def copy(model: Any, plain: PlainTranslator) -> None:
    """The weights of the one into the other."""
    encoder, decoder = model.encoder, model.decoder
    layer = encoder.layers.layers[0]
    pairs = [
        (encoder.embedding, plain.source.state_dict()),
        (layer.forwards.cell, from_torch(plain.encoder).state_dict()),
        (layer.backwards.cell, from_torch(plain.encoder, reverse=True).state_dict()),
        (decoder.embedding, plain.target.state_dict()),
        (decoder.layers.layers[0].cell, from_torch(plain.decoder).state_dict()),
        (decoder.attention.key, plain.key.state_dict()),
        (decoder.combine, plain.combine.state_dict()),
        (model.bridge.maps[0], plain.start_h.state_dict()),
        (model.bridge.maps[1], plain.start_c.state_dict()),
    ]
    for module, weights in pairs:
        module.load_state_dict(weights)
    with torch.no_grad():
        decoder.output.bias.copy_(plain.output.bias)


def losses(found: dict[str, Any]) -> dict[str, Callable[[Batch], Tensor]]:
    def own(batch: Batch) -> Tensor:
        return found["recurra"].loss(*batch[:5], smoothing=SMOOTHING, divisor=float(batch.lengths.sum()))

    return {"recurra": own, "torch": found["torch"].loss}


def decoders(found: dict[str, Any], beam: int) -> dict[str, Callable[[Batch], Any]]:
    def own(batch: Batch) -> list[list[int]]:
        sources = [row[:length].numpy() for row, length in zip(batch.source, batch.source_lengths, strict=True)]
        return [best[0].tokens for best in translate(found["recurra"], sources, Search(beam, 0.0))]

    return {"recurra": own, "torch": found["torch"].greedy if beam == 1 else found["torch"].beam}


def updates(model: nn.Module, loss: Callable[[Batch], Tensor], batches: list[Batch]) -> Callable[[], None]:
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=0.0, fused=True)

    def call() -> None:
        for batch in batches:
            optimizer.zero_grad()
            loss(batch).backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()

    return call


def every(call: Callable[[Batch], Any], batches: list[Batch]) -> Callable[[], None]:
    def run() -> None:
        for batch in batches:
            call(batch)

    return run


def measure(found: dict[str, Any], batches: list[Batch], rounds: int) -> dict[str, Any]:
    tokens, sentences = (sum(int(count) for count in counts) for counts in (
        [batch.lengths.sum() for batch in batches], [len(batch.source) for batch in batches]
    ))  # fmt: skip
    kinds = {
        "training": ({name: updates(found[name], loss, batches) for name, loss in losses(found).items()}, tokens),
        "greedy": ({name: every(call, batches) for name, call in decoders(found, 1).items()}, sentences),
        f"beam {BEAM}": ({name: every(call, batches) for name, call in decoders(found, BEAM).items()}, sentences),
    }
    results = {}
    for kind, (calls, items) in kinds.items():
        seconds = alternate(calls, rounds)
        ratios = [theirs / own for own, theirs in zip(seconds["recurra"], seconds["torch"], strict=True)]
        rates = {name: round(items / spread(values).median) for name, values in seconds.items()}
        unit = "target_tokens_per_second" if kind == "training" else "sentences_per_second"
        results[kind] = {
            unit: rates,
            "speedup": spread(ratios).to_json(),
            "seconds": {name: spread(values).to_json() for name, values in seconds.items()},
        }
        print(f"{kind:9} {rates} {results[kind]['speedup']['median']:.2f} times as fast", flush=True)
    own = {kind: results[kind]["seconds"]["recurra"]["median"] for kind in ("greedy", f"beam {BEAM}")}
    results["beam over greedy"] = round(own[f"beam {BEAM}"] / own["greedy"], 2)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each model")
    parser.add_argument("--train", type=int, default=450, help="updates before anything is timed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    cases = {}
    with keeping_freed_memory():
        found, batches, _ = models(given.train)
        for batch in batches[:3]:
            one, other = (loss(batch) for loss in losses(found).values())
            torch.testing.assert_close(one, other, rtol=1e-4, atol=0)
            own, theirs = (call(batch) for call in decoders(found, 1).values())
            assert sum(a == b for a, b in zip(own, theirs, strict=True)) >= 0.95 * len(own)  # ties of rounding differ
        for threads in given.threads:
            torch.set_num_threads(threads)
            print(f"{threads} threads", flush=True)
            cases[f"threads {threads}"] = measure(found, batches, given.rounds)
    result = {
        "command": " ".join(["python", "benchmarks/translation.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "batches": BATCHES,
        "cases": cases,
    }
    if given.json is not None:
        write_text(given.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
