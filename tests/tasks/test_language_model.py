"""The language model's options, its loss, and the text it draws."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import recurra
from recurra.baselines.window import WindowNetwork
from recurra.cells import CELLS, GRU, LSTMP
from recurra.data.tokens import Corpus
from recurra.data.vocabulary import build_vocabulary
from recurra.errors import BadInput
from recurra.layers import Dropout, RecurrentDropout, VariationalDropout, WeightDrop, Zoneout
from recurra.tasks.language_model.config import Config
from recurra.tasks.language_model.network import build_network
from recurra.tasks.language_model.sampling import _before, _never, _text
from recurra.tasks.language_model.scoring import negative_log_likelihood
from recurra.tasks.language_model.task import problem
from recurra.training.loop import train
from tests.training.tiny import open_or_create

VOCABULARY = build_vocabulary("characters", ["abcdefgh "])
TOKENS = torch.randint(len(VOCABULARY), (2, 12), generator=torch.manual_seed(1))


def build(**options):
    torch.manual_seed(0)
    return build_network(Config(**{"hidden_size": 6, **options}), VOCABULARY)


def test_every_option_has_a_reader():
    package = Path(recurra.__file__).parent
    definitions = {package / "training" / "settings.py", package / "tasks" / "language_model" / "config.py"}
    code = "\n".join(path.read_text() for path in package.rglob("*.py") if path not in definitions)
    unread = [name for name in Config.model_fields if not re.search(rf"\b(config|settings)\.{name}\b", code)]
    assert unread == []


def test_sizes_and_cells_reach_the_network():
    model = build(cell="gru", layers=3, embedding_size=4)
    cells = [module for module in model.modules() if isinstance(module, GRU)]
    assert len(cells) == 3 and model.embedding.weight.shape == (len(VOCABULARY), 4)
    assert model.output.weight.shape == (len(VOCABULARY), 6)
    window = build(model="window", window=3)
    assert isinstance(window, WindowNetwork) and window.window == 3


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_makes_a_model_that_learns(cell):
    model = build(cell=cell, layers=2, learnt_start=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        logits, _ = model(TOKENS[:, :-1])
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten()))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.7 * losses[0]  # 22 random tokens, learnt by heart


def test_a_cell_that_puts_out_fewer_features_than_it_has_units():
    model = build(cell="lstmp", layers=2, embedding_size=4)
    first, second = (module for module in model.modules() if isinstance(module, LSTMP))
    assert (first.input_size, first.hidden_size, first.output_size) == (4, 6, 3)
    assert (second.input_size, second.hidden_size) == (3, 6) and model.output.weight.shape == (len(VOCABULARY), 3)
    assert build(cell="lstmp", tied=True, residual=True, embedding_size=3)(TOKENS)[0].isfinite().all()
    for option in ("tied", "residual"):
        with pytest.raises(BadInput, match=f"--{option} needs --embedding-size equal .* got 6 and 3"):
            build(cell="lstmp", **{option: True})


@pytest.mark.parametrize("option", ["recurrent_dropout", "zoneout", "weight_drop"])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout_in_the_recurrence_works_or_is_refused_by_name(cell, option):
    try:
        model = build(cell=cell, hidden_size=20, **{option: 0.3})  # of so many, rectified, some are not zero
    except BadInput as error:
        assert str(error).startswith(f"--{option.replace('_', '-')} ") and cell in str(error)
    else:
        assert not torch.equal(model(TOKENS)[0], model(TOKENS)[0])
        assert model.eval()(TOKENS)[0].isfinite().all()


@pytest.mark.parametrize(
    ("option", "kind", "rate"),
    [
        ("dropout", Dropout, "rate"),
        ("recurrent_dropout", RecurrentDropout, "rate"),
        ("zoneout", Zoneout, "rates"),
        ("weight_drop", WeightDrop, "rate"),
    ],
)
def test_dropout_of_every_kind_acts_in_training_alone(option, kind, rate):
    model = build(layers=2, **{option: 0.3})
    found = [module for module in model.modules() if isinstance(module, kind)]
    assert found and all(getattr(module, rate) in (0.3, (0.3, 0.3)) for module in found)
    assert not torch.equal(model(TOKENS)[0], model(TOKENS)[0])
    model.eval()
    assert torch.equal(model(TOKENS)[0], model(TOKENS)[0])
    if option != "zoneout":  # whose expectation in evaluation differs from the plain network
        torch.testing.assert_close(model(TOKENS)[0], build(layers=2).eval()(TOKENS)[0])


def test_variational_dropout_keeps_its_mask():
    model = build(dropout=0.5, variational=True)
    assert isinstance(model.dropout, VariationalDropout)
    dropped = model.dropout(torch.ones(1, 20, 6))
    assert (dropped == dropped[:, :1]).all() and (dropped == 0).any()


def test_residual_adds_the_input():
    plain, residual = build(), build(residual=True)
    torch.testing.assert_close(residual.hidden(TOKENS)[0], plain.hidden(TOKENS)[0] + plain.embedding(TOKENS))


def test_a_learnt_start_is_part_of_the_model():
    plain, learnt = build(), build(learnt_start=True)
    start = [p for name, p in learnt.named_parameters() if name not in dict(plain.named_parameters())]
    assert [tuple(p.shape) for p in start] == [(1, 6), (1, 6)]
    torch.testing.assert_close(learnt(TOKENS)[0], plain(TOKENS)[0])
    with torch.no_grad():
        start[0].fill_(1.0)
    assert not torch.allclose(learnt(TOKENS)[0][:, 0], plain(TOKENS)[0][:, 0])


def test_the_initial_range_bounds_every_weight():
    weights = torch.cat([p.flatten() for p in build(initial_range=0.01).parameters()])
    assert weights.abs().max() <= 0.01 and weights.std().item() == pytest.approx(0.01 / 3**0.5, rel=0.05)


def test_tied_weights_share_storage():
    model = build(tied=True)
    assert model.output.weight.data_ptr() == model.embedding.weight.data_ptr()
    with pytest.raises(BadInput, match="--tied needs"):
        build(tied=True, embedding_size=4)


WORDS = build_vocabulary("words", ["a b c d e f g h i " * 3])


def build_of_words(**options):
    torch.manual_seed(0)
    return build_network(Config(hidden_size=16, **options), WORDS)


def test_an_adaptive_softmax_learns_and_draws():
    model = build_of_words(adaptive_softmax="3,6")
    assert model.output.clusters.cutoffs == [3, 6, len(WORDS)]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        losses.append(model.output.cross_entropy(model.hidden(TOKENS[:, :-1])[0], TOKENS[:, 1:], divisor=22.0))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.3 * losses[0]  # 22 random tokens, learnt by heart
    logits, _ = model.eval().step(TOKENS[:, 0], model.initial_state(2))
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(2))
    nats, count = negative_log_likelihood(model, TOKENS[0].numpy(), rows=1)
    log_p = model(TOKENS[:1, :-1])[0].log_softmax(-1)
    assert count == 11 and nats == pytest.approx(-log_p.gather(-1, TOKENS[:1, 1:, None]).sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("cutoffs", "options", "said"),
    [
        ("6,3", {}, "6,3: must be growing numbers from 1 to 9"),
        ("3,3", {}, "must be growing numbers"),
        ("0,3", {}, "must be growing numbers"),
        ("3,10", {}, "must be growing numbers"),
        ("3,5,7", {}, "3,5,7: its last cluster would have no features of 16"),
        ("3", {"tied": True}, "leave out --tied"),
    ],
)
def test_an_adaptive_softmax_that_does_not_fit_is_refused(cutoffs, options, said):
    with pytest.raises(BadInput, match=f"--adaptive-softmax .*{said}"):
        build_of_words(adaptive_softmax=cutoffs, **options)


def test_an_adaptive_softmax_needs_words_sorted_by_frequency():
    with pytest.raises(BadInput, match="characters are not sorted by frequency"):
        build(adaptive_softmax="3")


@pytest.mark.parametrize("header", ["", "3 6\n"], ids=["GloVe", "word2vec"])
def test_vectors_start_the_embedding(tmp_path, header):
    path = tmp_path / "vectors.txt"
    path.write_text(header + "b 1 2 3 4 5 6\nelsewhere 0 0 0 0 0 0\nd -1 -2 -3 -4 -5 -6.5\n")
    plain, started = build().embedding.weight, build(vectors=path).embedding.weight
    b, d = (int(VOCABULARY.encode(letter)[0]) for letter in "bd")
    assert started[b].tolist() == [1, 2, 3, 4, 5, 6] and started[d].tolist() == [-1, -2, -3, -4, -5, -6.5]
    others = [row for row in range(len(VOCABULARY)) if row not in (b, d)]
    assert torch.equal(started[others], plain[others])


@pytest.mark.parametrize(
    ("content", "said"),
    [("b 1 2 3\n", "line 1: 3 numbers a vector, the model takes 6"), ("b 1 2 3 4 5 x\n", "line 1: not numbers"),
     ("3 5\n", "line 1: 5 numbers a vector")],
)  # fmt: skip
def test_vectors_that_do_not_fit_are_refused(tmp_path, content, said):
    (tmp_path / "vectors.txt").write_text(content)
    with pytest.raises(BadInput, match=said):
        build(vectors=tmp_path / "vectors.txt")


@pytest.mark.parametrize("rows", [1, 3])
def test_scoring_carries_the_state_through_texts_of_any_length(rows):
    model = build(initial_range=1.0).eval()  # large weights: a state lost would show
    tokens, nats = corpus(1500).train, 0.0
    row_length = -(-1499 // rows)
    with torch.no_grad():
        for place in range(1499):
            if place % row_length == 0:
                state = model.initial_state(1)
            logits, state = model.step(torch.tensor([tokens[place]]), state)
            nats -= logits[0].log_softmax(-1)[tokens[place + 1]].item()
    found, count = negative_log_likelihood(model, tokens, rows=rows)
    assert count == 1499 and found == pytest.approx(nats, rel=1e-6)


def corpus(length=200):
    tokens = np.random.default_rng(0).integers(len(VOCABULARY), size=length)
    return Corpus(tokens, tokens[:20], tokens[:20], VOCABULARY, {}, {})


def test_overlapping_windows_pass_on_the_state_where_the_next_begins():
    config = Config(hidden_size=6, batch_size=2, steps=8, stride=3)
    model = build()
    posed = problem(config, corpus(), model)
    batches, state = posed.batches(0), None
    rows = torch.tensor(corpus().train[: 2 * 99]).reshape(2, 99)
    for index in range(5):
        loss = posed.loss(model, batches[index], state)
        state = loss.state
        begun = max(0, 3 * (index + 2) - 8)  # where the window after this one begins
        counted = slice(3 * index, 3 * index + 3)
        log_p = model(rows[:, : counted.stop])[0][:, counted].log_softmax(-1)
        targets = rows[:, 3 * index + 1 : 3 * index + 4, None]
        torch.testing.assert_close(loss.mean, -log_p.gather(-1, targets).mean())
        assert loss.items == 6
        if begun:
            torch.testing.assert_close(state, model.hidden(rows[:, :begun])[1])


SGD = Config(hidden_size=16, batch_size=2, steps=8, epochs=2, optimizer="sgd", clip_norm=0.1, checkpoint_every=1)


class Interrupted(Exception):
    pass


def trained(folder, config, *, interrupt_after=None, vocabulary=VOCABULARY, sparse=True):
    """The weights after training, or after what an interrupted run left."""
    torch.manual_seed(0)
    model = build_network(config, vocabulary)
    model.embedding.sparse = sparse
    posed, losses = problem(config, corpus(), model), []

    def loss(*given):
        losses.append(posed.loss(*given))
        if len(losses) == interrupt_after:
            raise Interrupted
        return losses[-1]

    train(replace(posed, loss=loss), config, open_or_create(folder))
    return model.state_dict()


def test_an_embedding_that_learns_from_touched_rows_learns_the_same(tmp_path):
    assert build_network(SGD, VOCABULARY).embedding.sparse
    for other in ({"weight_decay": 0.1}, {"optimizer": "adamw"}, {"tied": True}):
        assert not build_network(SGD.model_copy(update=other), VOCABULARY).embedding.sparse
    # each token in a batch of 16 is one of 9: rows come up several times, and some not at all
    rows, whole = (trained(tmp_path / name, SGD, sparse=name == "rows") for name in ("rows", "whole"))
    torch.testing.assert_close(rows, whole)


@pytest.mark.parametrize("options", [{}, {"adaptive_softmax": "3,6"}], ids=["plain", "adaptive"])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, options):
    config = SGD.model_copy(update=options)
    with pytest.raises(Interrupted):
        trained(tmp_path / "resumed", config, interrupt_after=9, vocabulary=WORDS)
    resumed = trained(tmp_path / "resumed", config, vocabulary=WORDS)
    whole = trained(tmp_path / "whole", config, vocabulary=WORDS)
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_loss_is_divided_by_tokens_or_by_sequences():
    model, found = build(), {}
    for per in ("token", "sequence"):
        posed = problem(Config(hidden_size=6, batch_size=4, steps=10, loss_per=per), corpus(), model)
        found[per] = posed.loss(model, posed.batches(0)[0], None)
    torch.testing.assert_close(found["token"].value, found["token"].mean)
    torch.testing.assert_close(found["sequence"].value, 10 * found["token"].value)
    torch.testing.assert_close(found["sequence"].mean, found["token"].mean)


@pytest.mark.parametrize("stop", ["a", "ab", "aab", "aaab", "b\n", "never", "aabaaab", ""])
def test_text_ends_before_the_stop_text_however_it_is_cut(stop):
    text = "xxaabaaab\naab"
    wanted = text[: text.index(stop)] if stop and stop in text else text
    for cuts in range(1 << (len(text) - 1)):
        if cuts % 7 == 0:
            ends = [place for place in range(1, len(text)) if cuts >> (place - 1) & 1]
            pieces = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
            assert "".join(_before(stop, iter(pieces))) == wanted


def test_no_more_text_is_held_back_than_may_begin_the_stop_text():
    read = 0

    def letters():
        nonlocal read
        for letter in "the cat sat":
            read += 1
            yield letter

    shown = ""
    for piece in _before("dog", letters()):
        shown += piece
        assert len(shown) >= read - 2


def test_the_unknown_token_has_no_probability():
    step = _never(2, lambda tokens, state: (torch.zeros(1, 4), state))
    logits, _ = step(torch.zeros(1, dtype=torch.long), None)
    assert logits.softmax(-1).tolist() == [pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])]


@pytest.mark.parametrize(("prompt", "joined"), [("the cat", " sat"), ("the cat\n", "sat"), ("(", "sat")])
def test_what_is_drawn_joins_the_prompt_as_its_words_would(prompt, joined):
    words = build_vocabulary("words", ["the cat sat (\n"])
    drawn = [torch.tensor([int(token)]) for token in words.encode("sat")]
    assert "".join(_text(words, words.encode(prompt), iter(drawn))) == joined


@pytest.mark.parametrize("cell", ["gru", "gru-reset-before", "jordan"])
def test_recurrent_dropout_is_refused_where_it_would_scale_the_state_itself(cell):
    with pytest.raises(BadInput, match="--zoneout"):
        build(cell=cell, recurrent_dropout=0.5)


def test_layers_may_be_learnt_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text").write_text("one two three four five six seven eight nine ten\n" * 40, encoding="utf-8")
    options = dict(cell="gru", hidden_size=10, embedding_size=6, unit="words", batch_size=2, steps=5, epochs=1)
    options |= dict(baselines=False)
    one = recurra.fit("language-model", tmp_path / "text", out=tmp_path / "one", layers=1, **options)
    more = dict(layers=2, grown_from=one.path, learning_rate=1e-12)
    (tmp_path / "text").write_text("one two eleven\n" * 120, encoding="utf-8")  # whose vocabulary is not asked for
    two = recurra.fit("language-model", tmp_path / "text", out=tmp_path / "two", **options | more | {"baselines": True})
    assert set(two.scores["baselines"]) == {"unigram", "5-gram"}  # a window would have a vocabulary of its own
    found, begun = two.model.state_dict(), one.model.state_dict()
    assert len(found) > len(begun) and all(torch.equal(found[name], value) for name, value in begun.items())
    assert recurra.load(two.path).model.state_dict().keys() == found.keys()
    for wrong in (dict(hidden_size=9), dict(layers=1, cell="lstm")):
        with pytest.raises(BadInput, match="--grown-from .*one: its layers are others; use --cell gru --layers 1"):
            recurra.fit("language-model", tmp_path / "text", out=tmp_path / "three", **options | more | wrong)
    with pytest.raises(BadInput, match="--grown-from gives recurrent layers, and a window has none"):
        recurra.fit("language-model", tmp_path / "text", out=tmp_path / "three", model="window", **options | more)
