"""What `explain` says: counts by hand, names as the cell has them, and advice that fits what stopped the compiler."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recurra.cells import CELLS
from recurra.layers import Recurrent
from recurra.nn.steps import LSTMStep, bind
from recurra.recurrence.advice import advice
from tests.recurrence.lowering import Step
from tests.recurrence.test_lower import NOT_FUSED

LSTM_CELL = """\
LSTMCell runs as one compiled loop on the CPU
forward, from the first step to the last
  hoisted     before the loop (many rows: in it): products with 4 × weight_ih (5 × 3 each)
  stage 1     products with 4 × weight_hh (5 × 5 each), then 21 element-wise operations
backward, from the last step to the first
  remembered  4 values of width 5 and 2 states of every step, from the forward loop
  stage 1     27 element-wise operations
  stage 2     products with 4 × weight_hhᵀ (5 × 5 each)
  deferred    after the loop, all steps at once: products with 4 × weight_ihᵀ (3 × 5 each)
  gradients   after the loop, products over all steps: weight_hh, weight_ih
  gradients   after the loop, sums over all steps: bias_hh, bias_ih"""


def said(explanation):
    """The words behind each label, wrapped lines joined; forward and backward one after another."""
    joined = re.sub(r"\n {14}", " ", explanation.text)
    return [(line[2:14].strip(), line[14:]) for line in joined.splitlines() if line.startswith("  ")]


def test_a_stacked_weight_is_one_line():
    explanation = Recurrent(nn.LSTMCell(3, 5)).explain()
    assert str(explanation) == explanation.text == LSTM_CELL
    assert (explanation.path, explanation.reason) == ("cpu", None)
    assert explanation.program.weights == explanation.adjoint.weights and explanation.adjoint.backwards


def test_weights_of_one_shape_are_named_together():
    forward, *_ = (words for label, words in said(Recurrent(CELLS["gru"](3, 5)).explain()) if label == "stage 1")
    assert forward == "products with r.W_h, z.W_h, g.W_h (5 × 5 each), then 15 element-wise operations"


def test_products_of_several_stages_and_after_the_loop():
    labels = [label for label, _ in said(Recurrent(CELLS["jordan"](3, 5)).explain())]
    assert labels[:3] == ["hoisted", "stage 1", "stage 2"] and labels[3] == "remembered"
    lines = said(Recurrent(CELLS["lru"](3, 5)).explain())
    assert lines[0] == ("invariant", "once a call: 9 operations on gamma, nu and theta alone")
    assert (
        "deferred",
        "after the loop, all steps at once: products with C_re, C_im (5 × 5 each) and D (5 × 3)",
    ) in lines
    within = "in the loop, added up step by step: an invariant of gamma, an invariant of nu and theta"
    assert ("gradients", within) in lines


def test_reductions_are_counted():
    class Normed(nn.Module):
        input_size = 4

        def initial_state(self, batch_size):
            return torch.zeros(batch_size, 4)

        def forward(self, x, h):
            return torch.tanh(h / h.sum(1, keepdim=True) + x)

    lines = said(Recurrent(Normed()).explain())
    assert lines[0] == ("stage 1", "1 reduction over features, then 3 element-wise operations")


def test_long_lines_are_wrapped():
    lines = Recurrent(CELLS["layer-norm-lstm"](3, 5)).explain().text.splitlines()
    assert max(map(len, lines)) <= 110 and any(line.startswith(" " * 14) for line in lines)


def test_the_step_of_our_torch_nn():
    step, torchs = LSTMStep(), nn.LSTMCell(3, 5)
    bind(step, dict(torchs.named_parameters()))
    layer = Recurrent(step, initial_state=lambda rows: (torch.zeros(rows, 5), torch.zeros(rows, 5)))
    assert layer.explain(torch.zeros(2, 1, 3)).text == LSTM_CELL.replace("LSTMCell", "LSTMStep")


class Branching(nn.Module):
    def forward(self, x, h):
        if h.sum() > 0:
            h = h * 2
        return torch.tanh(x + h)


def test_what_stopped_the_compiler_and_what_to_do():
    layer = Recurrent(Branching(), initial_state=lambda rows: torch.zeros(rows, 4))
    explanation = layer.explain(torch.zeros(2, 3, 4))
    line = Branching.forward.__code__.co_firstlineno + 1
    place = f"tests/recurrence/test_explain.py:{line}: if h.sum() > 0:"
    assert explanation.path == "reference" and explanation.reason.endswith(f"{place})")
    assert explanation.text.startswith("Branching runs step by step in PyTorch: the same numbers, more slowly\n")
    lines = dict(said(explanation))
    assert lines["because"] == "a Python value or branch depends on a tensor's numbers" and lines["at"] == place
    assert "torch.where" in lines["what to do"] and explanation.program is explanation.adjoint is None


def test_the_operation_that_stopped_it():
    cell = Step(lambda self, x, h: h.cumsum(1) + x)
    explanation = Recurrent(cell, initial_state=lambda rows: torch.zeros(rows, 4)).explain(torch.zeros(2, 3, 4))
    lines = dict(said(explanation))
    assert lines["operation"] == "aten.cumsum.default" and "docs/compiler.md" in lines["what to do"]


def test_a_call_that_no_loop_is_compiled_for():
    layer = Recurrent(CELLS["lstm"](3, 5).to(torch.bfloat16))
    explanation = layer.explain(torch.zeros(2, 3, 3, dtype=torch.bfloat16))
    assert explanation.path == "reference" and "float32" in dict(said(explanation))["what to do"]
    layer = Recurrent(CELLS["lstm"](3, 5))
    with torch.autocast("cpu", dtype=torch.float16):
        explanation = layer.explain(torch.zeros(2, 3, 3))
    assert dict(said(explanation))["what to do"].startswith("nothing")


def hooked():
    cell = nn.RNNCell(4, 4)
    cell.register_forward_hook(lambda *_: None)
    return cell


class Drawing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2


def without_gradient(x):
    with torch.no_grad():
        return x.exp()


def counted(self):
    self.count = getattr(self, "count", 0) + 1


ELSEWHERE = torch.ones(4)
OTHERS = {
    "random": (Step(lambda self, x, h: F.dropout(x) + h), "inputs(x)"),
    "counting": (Step(lambda self, x, h: (counted(self), x + h)[1]), "part of the state"),
    "hooks": (hooked(), "hooks off"),
    "function": (Step(lambda self, x, h: Drawing.apply(x) + h), "in PyTorch's operations"),
    "no_grad": (Step(lambda self, x, h: without_gradient(x) + h), ".detach()"),
    "numpy": (Step(lambda self, x, h: x + h * float(x.numpy()[0, 0])), "torch.where"),
    "from elsewhere": (Step(lambda self, x, h: x * ELSEWHERE + h), "as a parameter, a buffer or an attribute"),
    "writes to its state": (Step(lambda self, x, h: h.add_(x)), "make a new tensor"),
    "raises": (Step(lambda self, x, h: (x + h).view(7, 9)), "call the cell once by itself"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_advice_fits(name):
    cell, expected = OTHERS[name]
    layer = Recurrent(cell, initial_state=lambda rows: torch.zeros(rows, 4))
    assert expected in dict(said(layer.explain(torch.zeros(2, 3, 4))))["what to do"]


ADVICE = {
    "over the batch": "row of the batch",
    "over everything": "row of the batch",
    "batch joined": "row of the batch",
    "rows shifted": "docs/compiler.md",
    "sorted": "docs/compiler.md",
    "integers": "one float type",
    "other float": "one float type",
    "permuted": "whole blocks",
    "row by row": "a parameter as one factor",
    "batch as number": "row of the batch",
    "changed later": "make a new tensor",
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice_for_what_a_program_cannot_say(name):
    function, _ = NOT_FUSED[name]
    wide = torch.randn(8, 256) if name == "permuted" else torch.randn(1)
    cell = Step(function, b=torch.randn(8), kernel=torch.randn(1, 1, 3), wide=wide).double()
    layer = Recurrent(cell, initial_state=lambda rows: torch.zeros(rows, 8, dtype=torch.float64))
    explanation = layer.explain(torch.zeros(2, 3, 8, dtype=torch.float64))
    assert ADVICE[name] in dict(said(explanation))["what to do"]


def test_a_reason_that_nobody_foresaw():
    assert advice("something new") == advice("something else") != advice("the step draws random numbers")
