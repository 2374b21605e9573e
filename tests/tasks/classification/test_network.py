"""The classifier's options: each reaches the network, or is refused by name."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import recurra
from recurra.baselines.window_layer import WindowLayer
from recurra.cells import CELLS, GRU
from recurra.data.vocabulary import build_vocabulary
from recurra.errors import BadInput
from recurra.layers import Bidirectional, Recurrent, VariationalDropout
from recurra.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.network import build_network
from recurra.tasks.classification.reading import Meaning, Part

TEXTS = Meaning("text", 1, ("a", "b", "c"), False, False, None, build_vocabulary("words", ["one two three four five"]))
SERIES = Meaning("series", 2, ("a", "b", "c"), False, False, None, None)
TOKENS = torch.tensor([[1, 2, 3, 0], [4, 5, 0, 0]])
NUMBERS = torch.randn(2, 4, 2, generator=torch.manual_seed(1))
LENGTHS = torch.tensor([4, 2])


def build(meaning=TEXTS, train=None, **options):
    torch.manual_seed(0)
    return build_network(Config(**{"hidden_size": 6, **options}), meaning, train)


class InMemory(Part):
    """A part of arrays."""

    def __init__(self, cases, targets):
        super().__init__(None, None, np.arange(len(cases)), np.asarray(targets), None)
        object.__setattr__(self, "cases", cases)

    def __getitem__(self, case):
        return self.cases[case]


def test_every_option_has_a_reader():
    package = Path(recurra.__file__).parent
    definitions = {package / "training" / "settings.py", package / "tasks" / "classification" / "config.py"}
    folders = [package / name for name in ("training", "tasks/classification")]
    code = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py") if path not in definitions)
    code += (package / "tasks" / "layers.py").read_text()
    unread = [name for name in Config.model_fields if not re.search(rf"\b(config|settings)\.{name}\b", code)]
    assert unread == []


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", ["both", "forward"])
def test_every_cell_fits_into_a_classifier(cell, direction):
    model = build(cell=cell, direction=direction, layers=2)
    ends = sum(layer.cell.output_size for layer in model.layers.layers[-1].modules() if isinstance(layer, Recurrent))
    assert model.output.weight.shape == (3, ends)


@pytest.mark.parametrize(("cell", "meaning", "x"), [("lstmp", TEXTS, TOKENS), ("gru", SERIES, NUMBERS)])
def test_a_network_of_two_layers_answers_and_learns(cell, meaning, x):
    model = build(meaning, cell=cell, layers=2, pooling="last")
    model.loss(x, LENGTHS, torch.tensor([0, 2])).backward()
    assert all(parameter.grad is not None for parameter in model.layers.parameters())
    chances = model.eval().probabilities(x, LENGTHS)
    assert chances.shape == (2, 3) and chances.isfinite().all()


def test_sizes_reach_the_network():
    model = build(cell="gru", layers=2, embedding_size=4)
    cells = [(cell.input_size, cell.hidden_size) for cell in model.modules() if isinstance(cell, GRU)]
    assert cells == [(4, 6), (4, 6), (12, 6), (12, 6)] and model.output.weight.shape == (3, 12)
    one_way = build(SERIES, cell="gru", direction="forward", embedding_size=5)
    assert not any(isinstance(module, Bidirectional) for module in one_way.modules())
    assert one_way.reader.projection.weight.shape == (5, 2) and one_way.output.weight.shape == (3, 6)
    assert build(SERIES).reader(NUMBERS).shape == (2, 4, 2)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("last", LastPooling), ("mean", MeanPooling), ("max", MaxPooling), ("attention", AttentionPooling)],
)
def test_the_pooling_is_the_one_named(name, kind):
    assert isinstance(build(pooling=name).pooling, kind)


def test_the_last_state_of_each_direction_has_read_all():
    model = build(pooling="last").eval()
    for changed in (0, 3):  # the first word and the last reach both directions
        other = TOKENS[:1].clone()
        other[0, changed] = 5
        pooled, before = (model.pooling(model.layers(model.reader(x))[0]) for x in (other, TOKENS[:1]))
        assert (pooled != before)[0, :6].any() and (pooled != before)[0, 6:].any()


def test_the_window_sees_its_neighbours_and_is_pooled_by_its_largest_answer():
    model = build(model="window", window=3)
    assert isinstance(model.layers, WindowLayer) and isinstance(model.pooling, MaxPooling)
    with pytest.raises(BadInput, match="--window 4: .* give an odd number"):
        build(model="window", window=4)


def test_series_are_measured_by_the_training_part():
    cases = [7 + 3 * np.random.default_rng(seed).normal(size=(5 + seed, 2)) for seed in range(6)]
    cases = [np.column_stack([case, np.full(len(case), 4.0)]).astype(np.float32) for case in cases]
    meaning = Meaning("series", 3, ("a", "b"), False, False, None, None)
    reader = build(meaning, InMemory(cases, np.zeros(6))).reader
    steps = np.concatenate(cases)
    torch.testing.assert_close(reader.mean, torch.from_numpy(steps.mean(0)))
    torch.testing.assert_close(reader.spread, torch.tensor([*steps.std(0)[:2], 1.0]))  # what never changes has none
    plain = build(meaning, InMemory(cases, np.zeros(6)), normalise=False).reader
    assert plain.mean.tolist() == [0, 0, 0] and plain.spread.tolist() == [1, 1, 1]


def test_balanced_classes_count_alike_and_cases_one_in_the_mean():
    part = InMemory([None] * 10, np.array([0] * 6 + [1] * 3 + [2]))
    weights = build(train=part, class_weights="balanced").weights
    torch.testing.assert_close(weights * torch.tensor([6.0, 3, 1]), torch.full((3,), 10 / 3))
    assert build(train=part).weights.tolist() == [1, 1, 1]


def test_balanced_labels_weigh_having_against_not_having():
    targets = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    meaning = Meaning("text", 1, TEXTS.classes, True, False, None, TEXTS.vocabulary)
    weights = build(meaning, InMemory([None] * 4, targets), class_weights="balanced").weights
    torch.testing.assert_close(weights, torch.tensor([1 / 3, 3.0, 4.0]))


def test_dropout_is_of_the_kind_named_and_in_training_alone():
    assert isinstance(build(dropout=0.4, variational=True).dropout, VariationalDropout)
    for options in ({"dropout": 0.4}, {"dropout": 0.4, "variational": True}, {"word_dropout": 0.4}):
        model = build(layers=2, **options)
        assert not torch.equal(model(TOKENS, LENGTHS), model(TOKENS, LENGTHS))
        model.eval()
        torch.testing.assert_close(model(TOKENS, LENGTHS), build(layers=2)(TOKENS, LENGTHS))


def test_vectors_start_the_embedding(tmp_path):
    (tmp_path / "vectors.txt").write_text("two 1 2 3 4 5 6\nelsewhere 0 0 0 0 0 0\n")
    plain, started = build().reader.embedding.weight, build(vectors=tmp_path / "vectors.txt").reader.embedding.weight
    two = int(TEXTS.vocabulary.encode("two")[0])
    assert started[two].tolist() == [1, 2, 3, 4, 5, 6]
    others = [row for row in range(len(TEXTS.vocabulary)) if row != two]
    assert torch.equal(started[others], plain[others])


@pytest.mark.parametrize("option", [{"vectors": "vectors.txt"}, {"word_dropout": 0.1}])
def test_options_of_texts_are_refused_for_series(option):
    name = next(iter(option)).replace("_", "-")
    with pytest.raises(BadInput, match=f"--{name} is for texts"):
        build(SERIES, **option)


def test_an_unknown_cell_is_refused():
    with pytest.raises(BadInput, match="did you mean 'lstm'"):
        build(cell="lsmt")
