"""Long-lag, counting and timing problems: from sequences without end to a network that bridges their lags, or not."""

import json
from pathlib import Path

from torch import Tensor, nn

from recurra.baselines.window_layer import WindowLayer
from recurra.data.problems.problem import Examples
from recurra.errors import BadInput
from recurra.files import write_text
from recurra.layers import Dropout
from recurra.metrics.score import Score
from recurra.models.sequence_predictor import SequencePredictor
from recurra.recurrence.state import State
from recurra.tasks.layers import make_layers
from recurra.tasks.problem.baselines import baselines, prepare_baselines
from recurra.tasks.problem.config import Config
from recurra.tasks.problem.contenders import contender, count
from recurra.tasks.problem.lags import draw_comparison
from recurra.tasks.problem.presentation import present, report
from recurra.tasks.problem.problems import Data, TrainingBatches, first_lag, make_data
from recurra.tasks.problem.scoring import answer_of, evaluate, judge, leading, outcome, parts
from recurra.tasks.sources import Sources
from recurra.training.problem import Form, Loss, Problem

__all__ = [
    "Config",
    "baselines",
    "build",
    "contender",
    "count",
    "draw_comparison",
    "evaluate",
    "hashes",
    "keep",
    "load",
    "prepare_baselines",
    "present",
    "problem",
    "read",
    "read_again",
    "read_test",
    "report",
]

PROMOTING = 500
"""Training sequences that have to be solved at a lag before a curriculum doubles it."""


def read(sources: Sources, config: Config) -> Data:
    """The problem that is named.

    Raises:
        BadInput: none is, or more than one, or it has not the options given.
    """
    if len(sources.train) != 1 or sources.dev or sources.test:
        raise BadInput("a problem is drawn, not read: name one, for instance recurra fit problem adding")
    return make_data(sources.train[0], config)


def read_again(sources: Sources, config: Config, folder: Path) -> Data:
    """The same."""
    return read(sources, config)


def read_test(sources: Sources, config: Config, folder: Path) -> Data:
    """There are no others to be scored on: raises."""
    raise BadInput(f"{sources.train[0]}: a run is scored on its own problem; leave the name out")


def keep(data: Data, folder: Path) -> None:
    """Write the problem's name, by which :func:`load` knows the sizes of the network."""
    write_text(folder / "problem.json", json.dumps({"name": data.problem.name}) + "\n")


def hashes(data: Data) -> dict[str, str]:
    """None: nothing is read."""
    return {}


def build(config: Config, data: Data) -> SequencePredictor:
    """The model with fresh weights."""
    asked = make_data(data.problem.name, config).problem  # a comparison has models with lags of their own
    layers: nn.Module
    if config.model == "window":
        layers, size = WindowLayer(asked.inputs, config.hidden_size, config.window, ahead=0), config.hidden_size
    else:
        layers, size = make_layers(config, asked.inputs, "forward", Dropout(0.0))
    model = SequencePredictor(layers, size, asked.outputs, ends=asked.ends)
    model.lag.fill_(first_lag(asked, config))
    return model


def load(config: Config, folder: Path) -> SequencePredictor:
    """The model of a run folder, before its weights are loaded.

    Raises:
        BadInput: the folder does not say which problem it is.
    """
    file = folder / "problem.json"
    try:
        name = json.loads(file.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file}: does not name the problem ({error}); restore it or train again") from error
    return build(config, make_data(name, config))


def problem(config: Config, data: Data, model: SequencePredictor) -> Problem:
    """What the training loop needs."""
    asked = make_data(data.problem.name, config)
    validation = _Validation(asked)

    def form(model: nn.Module, batch: Examples, state: State | None) -> Form:
        def cost(outputs: Tensor) -> Tensor:
            return asked.problem.loss(outputs, batch.target, batch.mask)

        return Form(model(batch.x, batch.lengths), cost, 1.0, len(batch.x), None)

    def loss(model: nn.Module, batch: Examples, state: State | None) -> Loss:
        found = form(model, batch, state)
        value = found.loss(found.outputs)
        return Loss(value, value.detach(), found.items, None)

    return Problem(
        model,
        loss,
        lambda epoch: TrainingBatches(model, asked.problem, config, epoch),
        validation,  # type: ignore[arg-type]
        solved=lambda: validation.solved,
        ends_solved=config.stop_when_solved,
        form=form,
    )


class _Validation:
    """The score of the dev part, and whether the last model that was scored has solved it."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.solved = False

    def __call__(self, model: SequencePredictor) -> Score:
        found = outcome(self.data, answer_of(model), "dev")
        self.solved = found.solved
        self._promote(model)
        return leading(self.data, found, "dev")

    def _promote(self, model: SequencePredictor) -> None:
        """Go on to twice the lag as long as the one reached is solved."""
        problem = self.data.problem
        while (lag := int(model.lag)) < problem.lag:
            examples = parts(problem, self.data.config.seed, PROMOTING, lag)
            if not judge(problem, answer_of(model), examples).solved:
                return
            model.lag.fill_(min(2 * lag, problem.lag))
