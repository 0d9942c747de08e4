"""Runs this repository's state machines with scripted tasks: the machines are real, what they call
answers from a table."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.gateway import Request, Response

DEFINITIONS: Final = Path(__file__).parents[2] / "statemachine"
MACHINES: Final = ("rollout", "stage", "release")  # each starts the one before
TARGET: Final = "222222222222/eu-west-1"
OTHER_TARGET: Final = "222222222222/us-east-1"
RELEASE: Final = {"id": "hello-3", "application": "hello", "number": 3}
ARTIFACT: Final = {"application": "hello", "digest": "sha256:0", "bucket": "b", "prefix": "p"}

_QUICK: Final = {
    "Controller": "tidegate",
    "PollSeconds": "0",
    "SlowPollSeconds": "0",
    "QueuePollSeconds": "0",
    "MaxPolls": "3",
    "MaxWarmPolls": "3",
    "MaxQueuePolls": "3",
    "MaxEvaluations": "4",
}


@dataclass(frozen=True)
class Raises:
    """The task's function raises this error."""

    error: str
    message: str = "as the script says"


@dataclass(frozen=True)
class Refused:
    """Lambda itself refuses the invocation."""

    code: str = "TooManyRequestsException"
    status: int = 429


@dataclass(frozen=True)
class TokenFails:
    """The function returns, and somebody answers its task token with a failure."""

    error: str
    cause: str = "because"


class TokenSucceeds:
    """The function returns, and somebody answers its task token."""


class Silence:
    """The function returns, and nobody ever answers its task token."""


Answer = Mapping[str, Any] | Raises | Refused | TokenFails | TokenSucceeds | Silence
Script = Mapping[str, Sequence[Answer] | Answer | Callable[[Mapping[str, Any]], Answer]]
"""What each task answers, one after the other; the last answer stays. A function decides itself."""

GOOD: Final[Script] = {
    "plan": {
        "release": RELEASE,
        "stages": ["test", "prod"],
        "tests": [
            {
                "name": name,
                "project": "hello-tests",
                "buildspec": name,
                "source": "b/p/source.zip",
                "source_version": "v1",
                "timeout_minutes": 5,
            }
            for name in ("unit", "security")
        ],
    },
    "take-lock": {"held": True, "holder": ""},
    "record-tests": {},
    "settle-release": {"phase": "as-recorded"},
    "begin-stage": {"waves": [[TARGET]]},
    "preview": {"ready": True},
    "review": {"waves": [[TARGET]], "approval_timeout_seconds": 0},
    "request-approval": TokenSucceeds(),
    "settle-stage": {"phase": "as-recorded"},
    "deploy": {"done": True},
    "find-candidates": {"pre_traffic": ["Before"], "post_traffic": ["After"]},
    "warm-candidates": {"done": True},
    "run-hook": {"outcome": "passed"},
    "await-hook": TokenSucceeds(),
    "conclude-hook": Raises("HookFailed", "nothing was heard of it"),
    "tick": [{"promoted": False, "bake_seconds": 20}, {"promoted": True, "bake_seconds": 0}],
    "bake": TokenSucceeds(),
    "finish": {"done": True},
    "settle-capacity": {},
    "restore-traffic": {},
    "restore-stack": {"done": True},
    "declare-stuck": {},
    "unit": {"status": "SUCCEEDED"},
    "security": {"status": "SUCCEEDED"},
}


@dataclass(frozen=True, eq=False)
class Scenario:
    """One execution of a machine, where tasks answer as in ``GOOD`` unless ``script`` differs."""

    machine: str
    script: Script = field(default_factory=dict)
    abort_at: str = ""
    """Stop the execution by hand when it calls this task."""
    event: Mapping[str, Any] | None = None
    """The input, where it is not that of the script's release."""
    on_enter: Callable[[str, str], None] | None = None
    """Hears of each state that is entered, before anything of it happens: execution and name."""


@dataclass(frozen=True)
class Outcome:
    """How an execution ended, and what it and the executions inside it did."""

    arn: str
    status: str
    error: str
    cause: str
    output: Any
    calls: list[tuple[str, dict[str, Any]]]
    entered: frozenset[tuple[str, str]]
    """Machine and state."""
    executions: list[str]
    """Names of all executions."""

    @property
    def tasks(self) -> list[str]:
        """The tasks that were called, in order, each row of the same ones as one."""
        names = [name for name, _ in self.calls]
        return [
            name for number, name in enumerate(names) if number == 0 or names[number - 1] != name
        ]

    def count(self, task: str) -> int:
        """How often a task was called."""
        return sum(name == task for name, _ in self.calls)

    def events(self, task: str) -> list[dict[str, Any]]:
        """With what a task was called."""
        return [event for name, event in self.calls if name == task]


class Play:
    """The script of one account, and what was called so far."""

    def __init__(self, script: Script) -> None:
        self._script = {**GOOD, **script}
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.on_call: Callable[[str], None] = lambda _task: None

    def answer(self, task: str, event: dict[str, Any]) -> Answer:
        """The next answer of this task."""
        with self._lock:
            self.calls.append((task, event))
            number = self._used.get(task, 0)
            self._used[task] = number + 1
        self.on_call(task)
        answers = self._script[task]
        if callable(answers):
            return answers(event)
        if isinstance(answers, Sequence):
            return answers[min(number, len(answers) - 1)]
        return answers


class Stagehand:
    """Route in front of Lambda and CodeBuild that answers for the accounts that have a play."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self.plays: dict[str, Play] = {}

    def matches(self, request: Request) -> bool:
        """Whether the account has a play and the call is one that a script answers."""
        return request.account in self.plays and (
            request.path.endswith("/invocations") or request.target.startswith("CodeBuild")
        )

    def handle(self, request: Request) -> Response:
        """Answer from the script."""
        play = self.plays[request.account]
        if request.target:
            return self._build(play, request.target.rpartition(".")[2], request.json())
        name = request.path.split("/")[-2].removeprefix("tidegate-")
        return self._invoke(play, request, name)

    def _invoke(self, play: Play, request: Request, task: str) -> Response:
        event = request.json()
        match play.answer(task, event):
            case Raises(error, message):
                raised = {"errorType": error, "errorMessage": message, "stackTrace": []}
                return Response.json(raised, headers={"x-amz-function-error": "Unhandled"})
            case Refused(code, status):
                return Response.error(code, "Rate Exceeded.", status)
            case TokenSucceeds():
                states = self._aws.client("stepfunctions", account=request.account)
                states.send_task_success(taskToken=event["token"], output="{}")
            case TokenFails(error, cause):
                states = self._aws.client("stepfunctions", account=request.account)
                states.send_task_failure(taskToken=event["token"], error=error, cause=cause)
            case Silence():
                return Response.json({})
            case Mapping() as payload:
                return Response.json(payload)
        return Response.json({})

    def _build(self, play: Play, operation: str, event: dict[str, Any]) -> Response:
        if operation == "StopBuild":
            return Response.json({})
        if operation == "StartBuild":
            test = event["buildspecOverride"]
            answer = play.answer(test, event)
            if isinstance(answer, Raises):
                return Response.error(answer.error, answer.message)
            assert isinstance(answer, Mapping)
            build = _describe(f"hello-tests:{test}.{answer['status']}", "IN_PROGRESS")
            return Response.json({"build": build})
        (build_id,) = event["ids"]
        return Response.json({"builds": [_describe(build_id, build_id.rpartition(".")[2])]})


def _describe(build_id: str, status: str) -> dict[str, Any]:
    return {"id": build_id, "buildStatus": status, "logs": {"deepLink": f"https://logs/{build_id}"}}


class Theatre:
    """Plays scenarios, each once, in an account of its own."""

    def __init__(self, aws: EmbeddedAws, accounts: Callable[[], str]) -> None:
        self.aws = aws
        self._accounts = accounts
        self._stagehand = Stagehand(aws)
        self._outcomes: dict[Scenario, Outcome] = {}
        self.listeners: dict[str, Callable[[str, str], None]] = {}  # by account
        aws.cloud.routes.insert(0, self._stagehand)

    def close(self) -> None:
        """Leave the embedded AWS as it was."""
        self.aws.cloud.routes.remove(self._stagehand)

    def entered(self, execution: str, state: str) -> None:
        """A state of an execution is entered."""
        self.listeners.get(execution.split(":")[4], lambda *_: None)(execution, state)

    def play(self, scenario: Scenario) -> Outcome:
        """How the scenario ends."""
        if scenario not in self._outcomes:
            self._outcomes[scenario] = self._perform(scenario)
        return self._outcomes[scenario]

    def _perform(self, scenario: Scenario) -> Outcome:
        account = self._accounts()
        play = self._stagehand.plays[account] = Play(scenario.script)
        states = self.aws.client("stepfunctions", account=account)
        arns = _create_machines(states, account, scenario.machine)
        event = scenario.event or ARTIFACT
        if scenario.machine != "release":
            event = {"release": RELEASE, "stage": "prod", "target": TARGET}
        if scenario.on_enter:
            self.listeners[account] = scenario.on_enter
        arn = states.start_execution(
            stateMachineArn=arns[scenario.machine], input=json.dumps(event)
        )["executionArn"]
        if scenario.abort_at:

            def stop(task: str) -> None:
                if task == scenario.abort_at:
                    states.stop_execution(executionArn=arn)

            play.on_call = stop
        described = _wait(states, arn)
        executions = {
            execution["executionArn"]: (machine, execution["name"])
            for machine, machine_arn in arns.items()
            for execution in states.list_executions(stateMachineArn=machine_arn)["executions"]
        }
        return Outcome(
            arn=arn,
            status=described["status"],
            error=described.get("error", ""),
            cause=described.get("cause", ""),
            output=json.loads(described.get("output") or "null"),
            calls=play.calls,
            entered=frozenset(
                (machine, state)
                for one, (machine, _) in executions.items()
                for state in _entered(states, one)
            ),
            executions=[name for _, name in executions.values()],
        )


@cache
def definition(machine: str) -> str:
    """The machine as JSON, its substitutions not yet made."""
    text = (DEFINITIONS / f"{machine}.asl.yaml").read_text("utf-8")
    return json.dumps(YAML(typ="safe", pure=True).load(text))


def _substituted(machine: str, values: Mapping[str, str]) -> str:
    text = definition(machine)
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _create_machines(states: Any, account: str, outermost: str) -> dict[str, str]:
    """The machine and those that it starts."""
    arns: dict[str, str] = {}
    for machine in MACHINES[: MACHINES.index(outermost) + 1]:
        nested = {f"{name.title()}StateMachine": arn for name, arn in arns.items()}
        arns[machine] = states.create_state_machine(
            name=f"tidegate-{machine}",
            definition=_substituted(machine, _QUICK | nested),
            roleArn=f"arn:aws:iam::{account}:role/machine",
        )["stateMachineArn"]
    return arns


def _wait(states: Any, arn: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = states.describe_execution(executionArn=arn)
        return None if described["status"] == "RUNNING" else described

    return eventually(ended)


def _entered(states: Any, arn: str) -> list[str]:
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [
        event["stateEnteredEventDetails"]["name"]
        for page in pages
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    ]
