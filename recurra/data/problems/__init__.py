"""Long-lag, counting and timing problems: drawn, never read; this is the list of them."""

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from recurra.errors import BadInput, unknown

if TYPE_CHECKING:
    from recurra.data.problems.problem import Problem

PROBLEMS = {
    "adding": "recurra.data.problems.arithmetic:adding",
    "adding-1997": "recurra.data.problems.arithmetic:adding_1997",
    "anbn": "recurra.data.problems.counting:anbn",
    "anbncn": "recurra.data.problems.counting:anbncn",
    "copy-memory": "recurra.data.problems.recall:copy_memory",
    "delayed-recall": "recurra.data.problems.recall:delayed_recall",
    "embedded-reber": "recurra.data.problems.reber:embedded_reber",
    "long-lag-2a": "recurra.data.problems.long_lag:long_lag_2a",
    "long-lag-2b": "recurra.data.problems.long_lag:long_lag_2b",
    "long-lag-2c": "recurra.data.problems.long_lag:long_lag_2c",
    "multiplication": "recurra.data.problems.arithmetic:multiplication",
    "periodic": "recurra.data.problems.timing:periodic",
    "spike-delays": "recurra.data.problems.timing:spike_delays",
    "temporal-order": "recurra.data.problems.temporal_order:temporal_order",
    "temporal-order-3": "recurra.data.problems.temporal_order:temporal_order_3",
    "temporal-xor": "recurra.data.problems.temporal_xor:temporal_xor",
    "timed-spikes": "recurra.data.problems.timing:timed_spikes",
    "two-sequence-3a": "recurra.data.problems.two_sequence:two_sequence_3a",
    "two-sequence-3b": "recurra.data.problems.two_sequence:two_sequence_3b",
    "two-sequence-3c": "recurra.data.problems.two_sequence:two_sequence_3c",
}
"""The function that makes each problem, by the problem's name; its arguments are the problem's options."""


def make_problem(name: str, **options: Any) -> "Problem":
    """The problem of that name; ``options`` (``lag``, and what else it has) as of its function.

    Raises:
        BadInput: there is no such problem, or it has no such option, or not of that value.
    """
    if name not in PROBLEMS:
        raise unknown("problem", name, PROBLEMS)
    module, _, function = PROBLEMS[name].partition(":")
    make = getattr(importlib.import_module(module), function)
    for option in options:
        if option not in inspect.signature(make).parameters:
            raise BadInput(f"--{option.replace('_', '-')}: {name} has no such choice; leave it out")
    problem: Problem = make(**options)
    return problem
