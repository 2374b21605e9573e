"""Pairs of a layer of torch.nn, whose kernels share no code with ours, and ours with its weights."""

from itertools import combinations, product

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import recurra
from recurra.recurrence.state import map_state, tensors

B, T, F, H = 4, 6, 3, 5
KINDS = {
    "lstm": ("LSTM", {}),
    "projected": ("LSTM", {"proj_size": 2}),
    "gru": ("GRU", {}),
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
}
FORMS = ("batch", "unbatched", "sorted", "unsorted")


def covering(**options):
    """A test for few combinations of options, but such that any values of any three options come together in one."""
    triples = {each: frozenset(combinations(enumerate(each), 3)) for each in product(*options.values())}
    missing = set().union(*triples.values())
    chosen = []
    while missing:
        chosen.append(max(triples, key=lambda each: len(missing & triples[each])))
        missing -= triples[chosen[-1]]
    ids = ["-".join(f"{name}={value}" for name, value in zip(options, each, strict=True)) for each in chosen]
    return pytest.mark.parametrize(",".join(options), chosen, ids=ids)


def pair(kind, **options):
    name, own = KINDS[kind]
    options = {"dtype": torch.float64, **own, **options}
    torch.manual_seed(0)
    theirs = getattr(nn, name)(F, H, **options)
    ours = getattr(recurra.nn, name)(F, H, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def noise(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def sequences(layer, form="batch", dtype=torch.float64):
    """A leaf, and the layer's input made of it."""
    if form == "unbatched":
        x = noise(T, F, dtype=dtype)
        return x, x
    x = noise(*((B, T) if layer.batch_first else (T, B)), F, dtype=dtype)
    if form == "batch":
        return x, x
    lengths = torch.tensor([6, 4, 2, 1] if form == "sorted" else [2, 6, 1, 4])
    return x, pack_padded_sequence(x, lengths, batch_first=layer.batch_first, enforce_sorted=form == "sorted")


def state(layer, form="batch", dtype=torch.float64):
    parts = len(layer.all_weights)
    sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size]
    rows = () if form == "unbatched" else (B,)
    h, c = (noise(parts, *rows, size, seed=seed, dtype=dtype) for seed, size in enumerate(sizes, 2))
    return (h, c) if layer.mode == "LSTM" else h


def results(layer, input, hx=None):
    """What a call returns, as a flat list of tensors."""
    outputs, last = layer(input, hx)
    return [outputs.data if isinstance(outputs, PackedSequence) else outputs, *tensors(last)]


def gradients(values, wanted):
    total = sum((v * torch.linspace(-1, 1, v.numel(), dtype=v.dtype).view(v.shape)).sum() for v in values)
    return torch.autograd.grad(total, wanted, retain_graph=True)


def close(got, want, tolerance=1e-12):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


def detached(nested):
    return map_state(torch.Tensor.detach, nested)
