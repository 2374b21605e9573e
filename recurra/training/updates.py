"""The way to update weights that the settings ask for."""

from lightning_fabric import Fabric

from recurra.errors import BadInput
from recurra.training.first_order import FirstOrder
from recurra.training.penalties.applied import Penalties
from recurra.training.problem import Problem
from recurra.training.search.updates import Search
from recurra.training.second_order.updates import SecondOrder, check_second_order
from recurra.training.settings import SEARCHES, SECOND_ORDER, Settings
from recurra.training.update import Update


def build_update(problem: Problem, settings: Settings, fabric: Fabric) -> Update:
    """Updates of the problem's model by ``settings.optimizer``.

    Raises:
        BadInput: as :func:`check_update`.
    """
    if settings.optimizer in SECOND_ORDER:
        return SecondOrder(problem, settings, fabric)
    return (Search if settings.optimizer in SEARCHES else FirstOrder)(problem, settings, fabric)


def check_update(problem: Problem, settings: Settings) -> None:
    """Refuse what cannot be asked of this problem, before anything is written.

    Raises:
        BadInput: penalties of weights that the model does not have, or with a rule that takes none; or a loss, a model
            or a precision that updates with curvature cannot use.
    """
    if settings.regularize and settings.optimizer in (*SEARCHES, *SECOND_ORDER):
        raise BadInput(f"--optimizer {settings.optimizer} takes no --regularize; leave it out")
    Penalties(problem.model, settings.regularize)
    check_second_order(problem, settings)
