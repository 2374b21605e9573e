"""A language model that learns from a stream of bytes, a step at a time or a window at a time."""

from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from recurra.baselines.adaptive import AdaptiveChain
from recurra.data.byte_units import BYTES, characters
from recurra.recurrence.state import State, detach, map_state, tensors
from recurra.tasks.language_model.config import Config
from recurra.training.checkpoint import Tree
from recurra.training.online.depth import Depth
from recurra.training.online.learner import Learner
from recurra.training.online.loop import Learnt, OnlineModel
from recurra.training.online.rtrl import rtrl
from recurra.training.online.snap import snap1
from recurra.training.online.uoro import uoro


def online_model(config: Config, model: Any) -> OnlineModel:
    """``model`` learning by ``config.online``."""
    return Windowed(model) if config.online == "truncated" else Stepwise(model, make_learners(config, model))


def make_learners(config: Config, model: Any) -> list[Learner]:
    """All layers as one learner where it sees through them; by SnAp-1 one for each, or nothing would be sparse.

    Raises:
        BadInput: a cell that cannot be learnt so.
    """
    cells = [layer.cell for layer in model.layers.layers]
    if config.online == "snap-1":
        return [snap1(Depth(cell, residual=config.residual)) for cell in cells]
    make = rtrl if config.online == "rtrl" else uoro
    return [make(Depth(*cells, residual=config.residual))]


@final
class Windowed:
    """Truncated backpropagation through time: the gradient goes back to where its window begins."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._state: State | None = None

    def learn(self, window: np.ndarray) -> Learnt:
        """As of :class:`OnlineModel`."""
        tokens = _tokens(window, self.model)
        hidden, state = self.model.hidden(tokens[None, :-1], self._state)
        mean = self.model.output.cross_entropy(hidden, tokens[None, 1:], divisor=float(len(tokens) - 1))
        mean.backward()
        self._state = detach(state)
        return _learnt(window, mean.item() * (len(tokens) - 1))

    def state_dict(self) -> Tree:
        return None if self._state is None else list(tensors(self._state))

    def load_state_dict(self, saved: Tree) -> None:
        if saved is not None:
            leaves = iter(saved)
            self._state = map_state(lambda own: next(leaves).to(own), self.model.initial_state(1))


@final
class Stepwise:
    """Online learning: every byte's gradient goes back as far as its learners remember, whatever the window.

    Raises:
        BadInput: a learner cannot learn the cell, or not in this machine's memory.
    """

    def __init__(self, model: Any, learners: list[Learner]) -> None:
        self.model, self.learners = model, learners
        with torch.no_grad():  # what a learner cannot do its first step says: here, before anything is written
            hidden = model.embedding(torch.zeros(1, dtype=torch.long, device=model.embedding.weight.device))
            for learner in learners:
                hidden = learner(hidden)
                learner.start(1)

    def learn(self, window: np.ndarray) -> Learnt:
        """As of :class:`OnlineModel`."""
        tokens = _tokens(window, self.model)
        nats, count = 0.0, len(tokens) - 1
        for now in range(count):
            hidden = self.model.embedding(tokens[now : now + 1])
            for learner in self.learners:
                hidden = learner(hidden)
            cost = self.model.output.cross_entropy(hidden[None], tokens[None, now + 1 : now + 2])
            (cost / count).backward()
            nats += cost.item()
        return _learnt(window, nats)

    def state_dict(self) -> Tree:
        return [learner.state_dict() for learner in self.learners]

    def load_state_dict(self, saved: Tree) -> None:
        for learner, own in zip(self.learners, saved, strict=True):
            learner.load_state_dict(own)


@final
class WithBaselines:
    """A learner beside Markov chains that learn from the same bytes."""

    def __init__(self, learner: OnlineModel) -> None:
        self.model = learner.model
        self._learner = learner
        self.chains = {
            f"adaptive {name}": AdaptiveChain(BYTES, order) for order, name in enumerate(("unigram", "bigram"))
        }

    def learn(self, window: np.ndarray) -> Learnt:
        """As of :class:`OnlineModel`."""
        for chain in self.chains.values():
            chain.learn(window)
        return self._learner.learn(window)

    def state_dict(self) -> Tree:
        chains = {name: [torch.from_numpy(chain.counts), chain.nats] for name, chain in self.chains.items()}
        return {"learner": self._learner.state_dict(), "chains": chains}

    def load_state_dict(self, saved: Tree) -> None:
        self._learner.load_state_dict(saved["learner"])
        for name, (counts, nats) in saved["chains"].items():
            self.chains[name].counts, self.chains[name].nats = counts.numpy(), nats


def _tokens(window: np.ndarray, model: Any) -> Tensor:
    return torch.from_numpy(window.astype(np.int64)).to(model.embedding.weight.device)


def _learnt(window: np.ndarray, nats: float) -> Learnt:
    return Learnt(nats, len(window) - 1, characters(window[1:]))
