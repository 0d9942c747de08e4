"""What Step Functions knows: state machines, executions, and the tokens that tasks wait for."""

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any, Final

from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    CallbackPoolManager,
)

from tidegate_embedded.patching import Patches
from tidegate_embedded.stepfunctions.definitions import parse
from tidegate_embedded.stepfunctions.executions import RUNNING, Execution, StateMachine


class StepFunctionsError(Exception):
    """A request that the service refuses; `code` is the name of its exception."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Store:
    """State machines and executions of every account and region, by ARN."""

    def __init__(self, on_change: Callable[[Execution], None]) -> None:
        self._on_change = on_change
        self._lock: Final = threading.RLock()
        self._machines: dict[str, StateMachine] = {}
        self._executions: dict[str, Execution] = {}

    def create(self, machine: StateMachine) -> StateMachine:
        """Add `machine`; the same one again is no error."""
        check_definition(machine.definition)
        with self._lock:
            known = self._machines.get(machine.arn)
            if known is None:
                self._machines[machine.arn] = machine
                return machine
        if (known.definition, known.role_arn) == (machine.definition, machine.role_arn):
            return known
        raise StepFunctionsError(
            "StateMachineAlreadyExists", f"State Machine Already Exists: '{machine.arn}'"
        )

    def update(
        self,
        arn: str,
        *,
        definition: str | None = None,
        role_arn: str | None = None,
        settings: dict[str, Any] | None = None,
    ) -> StateMachine:
        """Change what is given; running executions go on as they began."""
        if definition is not None:
            check_definition(definition)
        with self._lock:
            machine = self.machine(arn)
            machine.definition = definition or machine.definition
            machine.role_arn = role_arn or machine.role_arn
            machine.settings |= settings or {}
            machine.touch()
            return machine

    def delete(self, arn: str) -> None:
        """Forget the state machine; its executions stay."""
        with self._lock:
            self._machines.pop(arn, None)

    def machine(self, arn: str) -> StateMachine:
        """The state machine, by its ARN."""
        if arn not in self._machines:
            raise StepFunctionsError(
                "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'"
            )
        return self._machines[arn]

    def machines(self, account: str, region: str) -> list[StateMachine]:
        """The state machines of an account and region, the oldest first."""
        with self._lock:
            return [
                machine
                for machine in self._machines.values()
                if (machine.account, machine.region) == (account, region)
            ]

    def start(self, arn: str, name: str | None, input_text: str) -> Execution:
        """Start an execution; the same name and input again return the running one."""
        _check_input(input_text)
        execution = Execution(
            self.machine(arn), name or str(uuid.uuid4()), input_text, self._on_change
        )
        with self._lock:
            known = self._executions.get(execution.arn)
            if known is None:
                self._executions[execution.arn] = execution
        if known is None:
            execution.start()
            return execution
        if known.status == RUNNING and known.input_text == input_text:
            return known
        raise StepFunctionsError(
            "ExecutionAlreadyExists", f"Execution Already Exists: '{execution.arn}'"
        )

    def execution(self, arn: str) -> Execution:
        """The execution, by its ARN."""
        found = self.find_execution(arn)
        if found is None:
            raise StepFunctionsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return found

    def find_execution(self, arn: str) -> Execution | None:
        """The execution, or nothing."""
        return self._executions.get(arn)

    def executions(self, machine_arn: str, status: str | None = None) -> list[Execution]:
        """The executions of a state machine, the latest first."""
        self.machine(machine_arn)
        with self._lock:
            found = [item for item in self._executions.values() if item.machine_arn == machine_arn]
        return [item for item in reversed(found) if status in (None, item.status)]

    def stop_all(self) -> None:
        """Abort what runs."""
        for execution in list(self._executions.values()):
            execution.stop(None, None)


class Tokens:
    """The task tokens of all executions, open and closed."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._endpoints: dict[str, CallbackEndpoint] = {}

    def install(self, patches: Patches) -> None:
        """Hear of every token that the interpreter hands out."""

        def registering(original: Callable[..., CallbackEndpoint]) -> Callable[..., Any]:
            def add(pool: CallbackPoolManager, callback_id: str) -> CallbackEndpoint:
                endpoint = original(pool, callback_id)
                self._endpoints[callback_id] = endpoint
                return endpoint

            return add

        patches.replace(CallbackPoolManager, "add", registering)

    def succeed(self, token: str, output: str) -> None:
        """End the task with `output`, which is JSON."""
        try:
            json.loads(output)
        except ValueError as error:
            raise StepFunctionsError("InvalidOutput", f"Invalid Output: '{error}'") from error
        self._answer(token, CallbackOutcomeSuccess(callback_id=token, output=output))

    def fail(self, token: str, error: str | None, cause: str | None) -> None:
        """End the task with an error."""
        self._answer(token, CallbackOutcomeFailure(callback_id=token, error=error, cause=cause))

    def heartbeat(self, token: str) -> None:
        """Say that the task is still worked on."""
        with self._lock:
            self._open(token).notify_heartbeat()

    def _answer(self, token: str, outcome: CallbackOutcome) -> None:
        with self._lock:
            self._open(token).notify(outcome)

    def _open(self, token: str) -> CallbackEndpoint:
        endpoint = self._endpoints.get(token)
        if endpoint is None:
            raise StepFunctionsError("InvalidToken", "Invalid Token: 'Invalid token'")
        if endpoint._notify_event.is_set():
            raise StepFunctionsError(
                "TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'"
            )
        return endpoint


def check_definition(definition: str) -> None:
    """Refuse a definition that the interpreter cannot read."""
    try:
        parse(definition)
    except Exception as error:
        raise StepFunctionsError(
            "InvalidDefinition", f"Invalid State Machine Definition: '{error}'"
        ) from error


def _check_input(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise StepFunctionsError(
            "InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'"
        ) from error
