"""Executions of state machines: moto's interpreter with an end that cannot be missed or doubled."""

import datetime
import json
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from moto.stepfunctions.parser import utils as interpreter
from moto.stepfunctions.parser.api import (
    ExecutionAbortedEventDetails,
    ExecutionStartedEventDetails,
    ExecutionTimedOutEventDetails,
    HistoryEventExecutionDataDetails,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import (
    AWSExecutionDetails,
    EvaluationDetails,
    ExecutionDetails,
    StateMachineDetails,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from tidegate_embedded.stepfunctions.definitions import parse

logger = logging.getLogger(__name__)

RUNNING: Final = "RUNNING"
_ENDS: Final = frozenset(
    {
        HistoryEventType.ExecutionSucceeded,
        HistoryEventType.ExecutionFailed,
        HistoryEventType.ExecutionAborted,
        HistoryEventType.ExecutionTimedOut,
    }
)


def now() -> datetime.datetime:
    """The time in UTC."""
    return datetime.datetime.now(tz=datetime.UTC)


@dataclass(slots=True)
class StateMachine:
    """A state machine as its last update left it."""

    arn: str
    name: str
    definition: str
    role_arn: str
    type: str = "STANDARD"
    settings: dict[str, Any] = field(default_factory=dict)
    """Logging, tracing and encryption, which change nothing here."""
    tags: dict[str, str] = field(default_factory=dict)
    created: datetime.datetime = field(default_factory=now)
    updated: datetime.datetime = field(default_factory=now)
    revision_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def touch(self) -> None:
        """Count a change as a revision of its own."""
        self.updated = now()
        self.revision_id = str(uuid.uuid4())

    @property
    def account(self) -> str:
        """The 12-digit account that it belongs to."""
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        """The region that it belongs to."""
        return self.arn.split(":")[3]


class Execution:
    """One run of a state machine as it was when the run started."""

    def __init__(
        self,
        machine: StateMachine,
        name: str,
        input_text: str,
        on_change: Callable[["Execution"], None],
    ) -> None:
        self.machine_arn = machine.arn
        self.definition = machine.definition
        self.role_arn = machine.role_arn
        self.account = machine.account
        self.region = machine.region
        self.name = name
        self.arn = f"{machine.arn.replace(':stateMachine:', ':execution:')}:{name}"
        self.input_text = input_text
        self.started = now()
        self.stopped: datetime.datetime | None = None
        self.status = RUNNING
        self.output_text: str | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.finished = threading.Event()
        self._lock = threading.Lock()
        self._on_change = on_change
        self._worker = _Worker(self, machine)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its history, oldest event first."""
        history: list[dict[str, Any]] = self._worker.env.event_manager.get_event_history()
        return history

    def start(self) -> None:
        """Run it on threads of its own."""
        self._on_change(self)
        self._worker.start()

    def stop(self, error: str | None, cause: str | None) -> None:
        """Abort it if it still runs: its tasks are called off, its tokens void."""
        self._worker.env.set_stop(stop_date=now(), error=error, cause=cause)
        self.conclude()

    def conclude(self) -> None:
        """Take over how the program ended; only the first call counts."""
        env = self._worker.env
        with self._lock:
            if self.finished.is_set():
                return
            self.stopped = now()
            self.status = self._ending(env)
            self.finished.set()
        for endpoint in list(env.callback_pool_manager._pool.values()):
            endpoint.interrupt_all()
        _forget_dead_threads()
        self._on_change(self)

    def _ending(self, env: Environment) -> str:
        """Keep what the ended program left, and return the status."""
        match env._program_state:
            case ProgramEnded():
                self.output_text = to_json_str(env.states.get_input(), separators=(",", ":"))
                return "SUCCEEDED"
            case ProgramTimedOut():
                timed_out = ExecutionTimedOutEventDetails()
                details = EventDetails(executionTimedOutEventDetails=timed_out)
                self._add_event(HistoryEventType.ExecutionTimedOut, details)
                return "TIMED_OUT"
            case ProgramStopped(error=error, cause=cause):
                self.error, self.cause = error, cause
                aborted = ExecutionAbortedEventDetails(error=error, cause=cause)
                details = EventDetails(executionAbortedEventDetails=aborted)
                self._add_event(HistoryEventType.ExecutionAborted, details)
                return "ABORTED"
            case ProgramError(error=failure):
                failure = failure or {}
                self.error, self.cause = failure.get("error"), failure.get("cause")
                return "FAILED"
            case other:
                raise AssertionError(f"the interpreter ended in {type(other).__name__}")

    def _add_event(self, kind: Any, details: Any) -> None:
        env = self._worker.env
        env.event_manager.add_event(
            context=env.event_history_context, event_type=kind, event_details=details
        )


class _History(EventManager):  # type: ignore[misc]
    """Events of an execution; nothing follows the one that ends it."""

    def __init__(self) -> None:
        super().__init__()
        self._ended = False

    def add_event(self, context: Any, event_type: Any, *args: Any, **kwargs: Any) -> int:
        with self._mutex:
            if self._ended:
                return context.last_published_event_id or 0
            self._ended = event_type in _ENDS
        event_id: int = super().add_event(context, event_type, *args, **kwargs)
        return event_id


class _Worker(ExecutionWorker):  # type: ignore[misc]
    """Runs the program of one execution; its environment is there before its thread is."""

    def __init__(self, execution: Execution, machine: StateMachine) -> None:
        self._execution = execution
        super().__init__(
            evaluation_details=EvaluationDetails(
                aws_execution_details=AWSExecutionDetails(
                    account=machine.account, region=machine.region, role_arn=machine.role_arn
                ),
                execution_details=ExecutionDetails(
                    arn=execution.arn,
                    name=execution.name,
                    role_arn=machine.role_arn,
                    inpt=json.loads(execution.input_text),
                    start_time=execution.started,
                ),
                state_machine_details=StateMachineDetails(
                    arn=machine.arn,
                    name=machine.name,
                    typ=machine.type,
                    definition=machine.definition,
                ),
            ),
            exec_comm=None,
            cloud_watch_logging_session=None,
            activity_store={},
        )
        self._program = parse(machine.definition)
        self.env = self._get_evaluation_environment()
        self.env.event_manager = _History()
        self.env.next_state_name = self._program.start_at.start_at_name

    def start(self) -> None:
        """Record the start and run the program."""
        details = ExecutionStartedEventDetails(
            input=self._execution.input_text,
            inputDetails=HistoryEventExecutionDataDetails(truncated=False),
            roleArn=self._execution.role_arn,
        )
        self.env.event_manager.add_event(
            context=self.env.event_history_context,
            event_type=HistoryEventType.ExecutionStarted,
            event_details=EventDetails(executionStartedEventDetails=details),
            update_source_event_id=False,
        )
        name = f"execution-{self._execution.name}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            if self.env.is_running():
                self._program.eval(self.env)
        except Exception as failure:
            logger.exception("%s broke the interpreter", self._execution.arn)
            self.env.set_error({"error": "States.Runtime", "cause": str(failure)})
        self._execution.conclude()


def _forget_dead_threads() -> None:
    """The interpreter keeps every thread that it ever started in a list."""
    interpreter.TMP_THREADS[:] = [thread for thread in interpreter.TMP_THREADS if thread.is_alive()]
