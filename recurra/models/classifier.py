"""Recurrent networks that give a whole sequence a label, or several."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.layers.pooling import Pooling, PoolingState
from recurra.recurrence.state import State


class ReadTokens(nn.Module):
    """Features of tokens.

    Args:
        vocabulary_size: tokens are integers from 0 up to this.
        size: features of a token.
        dropped: while training, the part of all tokens that is read as ``unknown``.
        unknown: the token that stands for what training did not see.

    Source: of words dropped, Iyyer et al. (2015), ACL, section 4.1.
    """

    def __init__(self, vocabulary_size: int, size: int, *, dropped: float = 0.0, unknown: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.dropped, self.unknown = dropped, unknown
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        if self.training and self.dropped:
            tokens = tokens.masked_fill(torch.rand(tokens.shape, device=tokens.device) < self.dropped, self.unknown)
        return self.embedding(tokens)


class ReadSeries(nn.Module):
    """Series in units of their spread over the training part, and as many features as are wanted.

    Args:
        dimensions: D.
        size: features that an affine map makes of them; None leaves them as they are.
        mean, spread: of the training part, ``(D,)``; kept with the weights. 0 and 1 where they are not given.
    """

    mean: Float[Tensor, " D"]
    spread: Float[Tensor, " D"]

    def __init__(
        self,
        dimensions: int,
        size: int | None = None,
        *,
        mean: Float[Tensor, " D"] | None = None,
        spread: Float[Tensor, " D"] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions) if mean is None else mean)
        self.register_buffer("spread", torch.ones(dimensions) if spread is None else spread)
        self.projection = nn.Identity() if size is None else nn.Linear(dimensions, size)

    def forward(self, series: Float[Tensor, "B T D"]) -> Float[Tensor, "B T E"]:
        return self.projection((series.to(self.mean.dtype) - self.mean) / self.spread)


class ClassifierState(NamedTuple):
    """After some steps of a stream; ``pooled`` is None before the first."""

    layers: State
    pooled: PoolingState | None


class Classifier(nn.Module):
    """Sequences through recurrent layers and a pooling over their steps to a score for each class.

    Args:
        reader: from what a step is, to features: :class:`ReadTokens`, :class:`ReadSeries`.
        layers: a :class:`Stack`, :class:`Bidirectional` or :class:`Recurrent`.
        pooling: from the outputs of all steps to one vector of ``size`` features.
        size: F.
        classes: K.
        dropout: of what the layers take, and of the pooled vector; applied to ``(B, T, F)``.
        multilabel: a sequence has any number of the K labels (a sigmoid each), not one of K classes (a softmax).
        weights: how much a case of each class counts in the loss; of multilabel ones, a case that has the label
            against one that has not. ``(K,)``, all 1 where they are not given.

    Besides its weights it keeps ``thresholds``, ``(K,)``: the probability from which on a label is given, multilabel.
    """

    weights: Float[Tensor, " K"]
    thresholds: Float[Tensor, " K"]

    def __init__(
        self,
        reader: nn.Module,
        layers: nn.Module,
        pooling: Pooling,
        size: int,
        classes: int,
        *,
        dropout: nn.Module | None = None,
        multilabel: bool = False,
        weights: Float[Tensor, " K"] | None = None,
    ) -> None:
        super().__init__()
        self.reader = reader
        self.layers = layers
        self.pooling = pooling
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.output = nn.Linear(size, classes)
        self.multilabel = multilabel
        self.register_buffer("weights", torch.ones(classes) if weights is None else weights)
        self.register_buffer("thresholds", torch.full((classes,), 0.5))

    def forward(self, x: Any, lengths: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B K"]:
        """Scores of the classes, before softmax or sigmoid.

        Args:
            x: tokens ``(B, T)`` or series ``(B, T, D)``, as ``reader`` takes them; anything behind a row's end.
            lengths: steps of each row, at least 1; all of them where they are not given.
        """
        outputs, _ = self.layers(self.dropout(self.reader(x)), lengths=lengths)
        pooled = self.pooling(outputs, lengths)
        return self.output(self.dropout(pooled.unsqueeze(1)).squeeze(1))

    def loss(
        self, x: Any, lengths: Int[Tensor, " B"] | None, targets: Int[Tensor, " B"] | Float[Tensor, "B K"]
    ) -> Float[Tensor, ""]:
        """The weighted mean of -log p over a batch, in nats a case; of multilabel cases, summed over the labels.

        Args:
            targets: the class of each case; multilabel, 1 for the labels that it has and 0 for the others.
        """
        return self.cost(self(x, lengths), targets)

    def cost(
        self, scores: Float[Tensor, "B K"], targets: Int[Tensor, " B"] | Float[Tensor, "B K"]
    ) -> Float[Tensor, ""]:
        """The same of scores that are given; convex in them."""
        if self.multilabel:
            each = nn.functional.binary_cross_entropy_with_logits(
                scores, targets.to(scores.dtype), pos_weight=self.weights, reduction="none"
            )
            return each.sum(1).mean()
        each = nn.functional.cross_entropy(scores, targets, reduction="none")
        return (self.weights[targets] * each).mean()

    @torch.no_grad()
    def probabilities(self, x: Any, lengths: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B K"]:
        """Of each class; of each label by itself, multilabel."""
        return self._probabilities(self(x, lengths))

    @torch.no_grad()
    def running_probabilities(self, x: Any, lengths: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B T K"]:
        """After every step, knowing nothing of those that follow; behind a row's end, anything.

        Raises:
            ValueError: a layer is bidirectional: what it says of a step knows all of them.
        """
        start = self.layers.initial_state(len(x))  # type: ignore[operator]
        outputs, _ = self.layers(self.dropout(self.reader(x)), start, lengths=lengths)
        state: Any = None
        found = []
        for step in outputs.unbind(1):
            pooled, state = self.pooling.step(step, state)
            found.append(pooled)
        return self._probabilities(self.output(torch.stack(found, 1)))

    def initial_state(self, batch_size: int) -> ClassifierState:
        """Before a stream's first step; raises as :meth:`running_probabilities`."""
        return ClassifierState(self.layers.initial_state(batch_size), None)  # type: ignore[operator]

    @torch.no_grad()
    def step(self, x: Any, state: ClassifierState) -> tuple[Float[Tensor, "B K"], ClassifierState]:
        """One step of a stream, ``(B,)`` or ``(B, D)``: the probabilities of what has been seen, in constant memory."""
        pooled_before: Any = state.pooled
        features = self.dropout(self.reader(x.unsqueeze(1))).squeeze(1)
        outputs, layers = self.layers.step(features, state.layers)  # type: ignore[operator]
        pooled, pooling = self.pooling.step(outputs, pooled_before)
        return self._probabilities(self.output(pooled)), ClassifierState(layers, pooling)

    def _probabilities(self, scores: Float[Tensor, "*B K"]) -> Float[Tensor, "*B K"]:
        return scores.sigmoid() if self.multilabel else scores.softmax(-1)
