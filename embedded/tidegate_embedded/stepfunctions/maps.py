"""Distributed Map states: how many items may fail."""

import math
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType, MapRunFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (  # noqa: E501
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from tidegate_embedded.patching import Patches


def install(patches: Patches) -> None:
    """Make a Map state fail when more of its items failed than it tolerates."""
    patches.replace(DistributedIterationComponent, "_map_run", _with_threshold)


def _with_threshold(original: Callable[..., None]) -> Callable[..., None]:
    def run(self: Any, env: Environment, eval_input: Any) -> None:
        items = len(env.stack[-1])
        original(self, env=env, eval_input=eval_input)
        record = eval_input.map_run_record
        tolerated = tolerated_failures(
            items, record.tolerated_failure_count, record.tolerated_failure_percentage
        )
        if record.item_counter.failed.get() > tolerated:
            raise FailureEventException(_threshold_exceeded(env))

    return run


def tolerated_failures(items: int, count: int, percentage: float) -> int:
    """How many of `items` may fail: the stricter of both limits; zero is none given."""
    limits = []
    if count:
        limits.append(count)
    if percentage:
        limits.append(math.floor(items * percentage / 100))
    return min(limits, default=0)


def _threshold_exceeded(env: Environment) -> FailureEvent:
    error = StatesErrorName(typ=StatesErrorNameType.StatesExceedToleratedFailureThreshold)
    details = MapRunFailedEventDetails(
        error=error.error_name, cause="The specified tolerated failure threshold was exceeded"
    )
    return FailureEvent(
        env=env,
        error_name=error,
        event_type=HistoryEventType.MapRunFailed,
        event_details=EventDetails(mapRunFailedEventDetails=details),
    )
