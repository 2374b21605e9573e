"""The loop as one node of a captured graph. In fresh processes: dynamo cannot read code that the tests' checks wrap."""

import subprocess
import sys
from pathlib import Path

import pytest

SETUP = """
import torch, recurra
torch.manual_seed(0)

class Model(torch.nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.layer, self.linear = recurra.Recurrent(cell), torch.nn.Linear(6, 2)

    def forward(self, x, lengths=None):
        outputs, state = self.layer(x, lengths=lengths)
        return self.linear(outputs), tuple(state)

model = Model(recurra.cells.CELLS["{cell}"](5, 6))
x, lengths = torch.randn(3, 7, 5), torch.tensor([7, 0, 4])
"""

COMPILE = """
graphs = []

def keep(graph, inputs):
    from torch._dynamo.backends.debugging import aot_eager
    graphs.append(graph)
    return aot_eager(graph, inputs)

for given in (x,), (x, lengths):
    compiled = torch.compile(model, fullgraph=True, backend=keep)
    results = []
    for forward in (model, compiled):
        model.zero_grad()
        outputs, state = forward(*given)
        (outputs.square().sum() + sum(leaf.sum() for leaf in state)).backward()
        results.append([outputs, *state, *(weight.grad.clone() for weight in model.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
for graph in graphs:
    loops = [node for node in graph.graph.nodes if "recurra.run" in str(node.target)]
    assert len(loops) == 1, graph.code
"""

EXPORT = """
import sys
sizes = {{"x": {{0: torch.export.Dim("batch", min=2, max=99), 1: torch.export.Dim("time", min=2, max=999)}}}}
exported = torch.export.export(model, (x,), dynamic_shapes=sizes)
names = [str(node.target) for node in exported.graph.nodes]
assert sum("recurra.run" in name for name in names) == 1, names
longer = torch.randn(5, 11, 5)
torch.export.save(exported, sys.argv[1] + "/model.pt2")
torch.save((longer, model(longer)), sys.argv[1] + "/numbers.pt")
"""

LOAD = """
import sys, torch, recurra.recurrence.autograd
model = torch.export.load(sys.argv[1] + "/model.pt2").module()
x, want = torch.load(sys.argv[1] + "/numbers.pt")
torch.testing.assert_close(model(x), want, rtol=0, atol=0)
"""


def in_fresh_process(script: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


def test_compile_under_autocast() -> None:
    rounded = COMPILE.replace(
        "outputs, state = forward", 'with torch.autocast("cpu", torch.bfloat16): outputs, state = forward'
    )
    small_too = "from recurra.recurrence.cpu import execute\nexecute.ROUNDED = 0\n"  # as graphs, which have any size
    in_fresh_process((SETUP + small_too + rounded).replace("{cell}", "lstm"))


@pytest.mark.parametrize("cell", ["lstm", "lru"])  # lru's weights are computed from its parameters
def test_compile_sees_one_node_and_no_break(cell: str) -> None:
    in_fresh_process((SETUP + COMPILE).replace("{cell}", cell))


def test_an_exported_model_runs_in_another_process(tmp_path: Path) -> None:
    in_fresh_process((SETUP + EXPORT).format(cell="lstm"), str(tmp_path))
    in_fresh_process(LOAD, str(tmp_path))
