"""What every task has in common: reads its event, finds its ports, logs, traces, counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar

from aws_lambda_powertools import Logger, Tracer, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, ValidationError

from tidegate.aws.wiring import connect
from tidegate.core.errors import TidegateError
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.ports import Ports
from tidegate.core.workflow.target.context import RolloutRef


class Event(BaseModel):
    """The input of a task. What it was given never shows in a message: it may hold a token."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @property
    def about(self) -> str:
        """The release that the task works for; the correlation id of every line that it logs."""
        return ""


class BusEvent(Event):
    """What comes over the bus from other accounts: anybody's words, and nobody waits for an answer.

    One that is not well-formed is refused without an error, for Lambda would repeat it.
    """


class ReleaseEvent(Event):
    """A task of the release machine."""

    release: ReleaseRef

    @property
    def about(self) -> str:
        """The release."""
        return self.release.id


class StageEvent(ReleaseEvent):
    """A task of the stage machine."""

    stage: str


class RolloutEvent(StageEvent):
    """A task of the rollout machine."""

    target: str

    @property
    def ref(self) -> RolloutRef:
        """The rollout."""
        return RolloutRef(release=self.release, stage=self.stage, target=self.target)


class HookEvent(RolloutEvent):
    """A task for one validation hook."""

    when: Literal["pre-traffic", "post-traffic"]
    function: str


class Failure(BaseModel):
    """What a Catch received."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    Error: str = ""
    Cause: str = ""


EventT = TypeVar("EventT", bound=Event)


@dataclass(frozen=True)
class Call(Generic[EventT]):
    """One invocation of a task."""

    event: EventT
    ports: Ports
    context: LambdaContext

    @property
    def seconds_left(self) -> int:
        """How long this function may still run."""
        return int(self.context.get_remaining_time_in_millis() // 1000)


Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Task(Generic[EventT]):
    """A Lambda handler: parses the event and gives the use case its ports."""

    model: type[EventT]
    act: Callable[[Call[EventT]], Answer]
    ports: Callable[[], Ports] = connect

    def __call__(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Handle one invocation. What the use case raises reaches Step Functions by its name."""
        handle: Callable[..., dict[str, Any]] = tracer().capture_lambda_handler(
            self._handle, capture_response=False
        )
        return handle(event, context)

    def _handle(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        log = logger()
        try:
            parsed = parse(event=dict(event), model=self.model)
        except ValidationError:
            if not issubclass(self.model, BusEvent):
                raise
            log.warning("event refused", account=str(event.get("account")), exc_info=True)
            return {}
        log.set_correlation_id(parsed.about)
        task = self.act.__module__.rpartition(".")[2]
        try:
            answer = self.act(Call(parsed, self.ports(), context))
        except TidegateError as error:
            log.warning("task refused", task=task, error=type(error).__name__, cause=str(error))
            raise
        except Exception:
            log.exception("task failed", task=task)
            raise
        log.info("task done", task=task)
        return dict(answer)


def task(model: type[EventT]) -> Callable[[Callable[[Call[EventT]], Answer]], Task[EventT]]:
    """Make a function of a `Call` the handler of a task with this kind of event."""
    return lambda act: Task(model, act)


def count(name: str, **dimensions: str) -> None:
    """Count one of the things that a dashboard shows."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as metric:
        for dimension, value in dimensions.items():
            metric.add_dimension(dimension, value)


@cache
def logger() -> Logger:
    """Made at the first call: nothing reads the environment at import."""
    return Logger(service="tidegate")


@cache
def tracer() -> Tracer:
    """Made at the first call: nothing reads the environment at import."""
    return Tracer(service="tidegate")
