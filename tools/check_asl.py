"""Checks state machines written in YAML and JSONata against Tidegate's house rules.

``python tools/check_asl.py FILE...`` prints ``file: state: problem`` for each finding and exits 1
if there is one. What it asks for, beyond what Step Functions itself refuses: every state has a
comment and is reachable; every Task has a time limit, retries that name their errors and say how,
and a Catch that ends with everything; every expression compiles and reads only variables that some
state assigns; and no way through a rollout, errors included, ends with split traffic.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import jsonata
from asl_safety import unsafe_ends
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

State = Mapping[str, Any]

_COMMON = {"Type", "Comment", "Output"}
_MOVES = _COMMON | {"Assign", "Next", "End"}
_FIELDS = {
    "Task": _MOVES
    | {"Resource", "Arguments", "TimeoutSeconds", "HeartbeatSeconds", "Retry", "Catch"}
    | {"Credentials"},
    "Pass": _MOVES,
    "Wait": _MOVES | {"Seconds", "Timestamp"},
    "Choice": _COMMON | {"Assign", "Choices", "Default"},
    "Succeed": _COMMON,
    "Fail": {"Type", "Comment", "Error", "Cause"},
    "Map": _MOVES
    | {"Items", "ItemSelector", "ItemProcessor", "MaxConcurrency", "Retry", "Catch", "Label"}
    | {"ItemReader", "ItemBatcher", "ResultWriter"}
    | {"ToleratedFailureCount", "ToleratedFailurePercentage"},
    "Parallel": _MOVES | {"Branches", "Arguments", "Retry", "Catch"},
}
_JSONPATH_FIELDS = {
    "InputPath": "Arguments",
    "OutputPath": "Output",
    "Parameters": "Arguments",
    "ResultPath": "Output or Assign",
    "ResultSelector": "Output",
    "Result": "Output",
    "ItemsPath": "Items",
    "SecondsPath": "Seconds",
    "TimestampPath": "Timestamp",
    "TimeoutSecondsPath": "TimeoutSeconds",
    "HeartbeatSecondsPath": "HeartbeatSeconds",
    "MaxConcurrencyPath": "MaxConcurrency",
    "ErrorPath": "Error",
    "CausePath": "Cause",
}
_RETRY_FIELDS = ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds", "MaxAttempts")
_ENDS = {"Succeed", "Fail"}
_BUILT_IN = frozenset(
    """
    abs append average base64decode base64encode boolean ceil contains count distinct each exists
    filter floor formatBase formatInteger formatNumber fromMillis hash join keys length lookup
    lowercase map match max merge millis min not now number pad parse parseInteger partition power
    random range reduce replace reverse round shuffle sift single sort split spread sqrt states
    string substring substringAfter substringBefore sum toMillis trim type uppercase uuid zip
    """.split()  # noqa: SIM905 - sixty names read better as text
)
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
_EXPRESSION = re.compile(r"^\{%(.*)%\}$", re.DOTALL)
_TEXT_IN_EXPRESSION = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_BARE_CONTEXT = re.compile(r"\$(?![\w])")
_NAME = re.compile(r"\$(\w+)")
_LOCAL = re.compile(r"\$(\w+)\s*:=")
_PARAMETERS = re.compile(r"function\s*\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. ``state`` is empty when it concerns the whole file."""

    file: str
    state: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.state, self.message) if part)


@dataclass(frozen=True, slots=True)
class Machine:
    """The top level of a file, a branch of a Parallel, or the processor of a Map."""

    where: str
    """Name of the state that holds it, empty for the top level."""
    definition: Mapping[str, Any]
    outer_variables: frozenset[str] = frozenset()

    @property
    def states(self) -> Mapping[str, State]:
        """The states by name."""
        states: Mapping[str, State] = self.definition.get("States") or {}
        return states

    @property
    def own_variables(self) -> frozenset[str]:
        """The variables that this machine's own states assign."""
        return frozenset(
            name for state in self.states.values() for assign in _assigns(state) for name in assign
        )

    @property
    def variables(self) -> frozenset[str]:
        """All that its expressions may read."""
        return self.own_variables | self.outer_variables

    def inner(self) -> Iterator[Machine]:
        """The machines inside its states."""
        for name, state in self.states.items():
            bodies = [state["ItemProcessor"]] if "ItemProcessor" in state else []
            for body in chain(bodies, state.get("Branches", ())):
                yield Machine(name, body, self.variables)


@dataclass(slots=True)
class Check:
    """Walks one file and collects what it finds."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def run(self, definition: Mapping[str, Any]) -> list[Problem]:
        """Check the whole file."""
        if definition.get("QueryLanguage") != "JSONata":
            self._say("", "QueryLanguage must be JSONata")
        if "TimeoutSeconds" not in definition:
            self._say("", "has no TimeoutSeconds")
        if not definition.get("Comment"):
            self._say("", "has no Comment")
        self._machine(Machine("", definition))
        for unsafe in unsafe_ends(definition):
            self._say("", unsafe)
        return self.problems

    def _say(self, state: str, message: str) -> None:
        self.problems.append(Problem(self.file, state, message))

    def _machine(self, machine: Machine) -> None:
        if not machine.states:
            self._say(machine.where, "has no States")
            return
        for name in sorted(machine.own_variables & machine.outer_variables):
            self._say(machine.where, f"assigns ${name} inside, which a state outside assigns too")
        for name, state in machine.states.items():
            if name in self._names:
                self._say(name, "has the name of another state")
            self._names.add(name)
            self._state(name, state)
            self._expressions(name, state, machine)
        self._paths(machine)
        for inner in machine.inner():
            self._machine(inner)

    def _paths(self, machine: Machine) -> None:
        start = machine.definition.get("StartAt", "")
        states = machine.states
        for source, targets in chain(
            [(machine.where, [start])], ((name, _targets(state)) for name, state in states.items())
        ):
            for target in targets:
                if target not in states:
                    self._say(source, f"leads to {target!r}, which is not there")
        for name in states.keys() - _reachable(start, states):
            self._say(name, "cannot be reached")
        if not any(_ends(state) for state in states.values()):
            self._say(machine.where, "has no state that ends")

    def _state(self, name: str, state: State) -> None:
        kind = state.get("Type", "")
        if kind not in _FIELDS:
            self._say(name, f"has the unknown Type {kind!r}")
            return
        if not state.get("Comment"):
            self._say(name, "has no Comment")
        for key in state.keys() - _FIELDS[kind]:
            instead = _JSONPATH_FIELDS.get(key)
            self._say(
                name,
                f"{key} is JSONPath: use {instead}" if instead else f"a {kind} has no field {key}",
            )
        if kind in {"Task", "Pass", "Wait", "Map", "Parallel"} and ("Next" in state) == (
            "End" in state
        ):
            self._say(name, "needs either Next or End")
        if kind == "Choice" and "Default" not in state:
            self._say(name, "has no Default")
        if kind == "Task":
            self._task(name, state)
        if kind in {"Map", "Parallel"}:
            self._catch(name, state)

    def _task(self, name: str, state: State) -> None:
        if "Resource" not in state:
            self._say(name, "has no Resource")
        if "TimeoutSeconds" not in state:
            self._say(name, "has no TimeoutSeconds")
        self._retry(name, state.get("Retry") or [])
        self._catch(name, state)

    def _retry(self, name: str, retriers: Sequence[Mapping[str, Any]]) -> None:
        if not any("States.ALL" not in retrier.get("ErrorEquals", ()) for retrier in retriers):
            self._say(name, "has no Retry that names its errors")
        self._order(name, "Retry", retriers)
        for retrier in retriers:
            if retrier.get("MaxAttempts") == 0:
                continue
            missing = [key for key in _RETRY_FIELDS if key not in retrier]
            if missing:
                self._say(name, f"a Retry has no {', '.join(missing)}")
            elif retrier["MaxDelaySeconds"] <= retrier["IntervalSeconds"]:
                self._say(name, "a Retry's MaxDelaySeconds must be more than its IntervalSeconds")
            if retrier.get("JitterStrategy") != "FULL":
                self._say(name, "a Retry's JitterStrategy must be FULL")

    def _catch(self, name: str, state: State) -> None:
        catchers = state.get("Catch") or []
        if not catchers or catchers[-1].get("ErrorEquals") != ["States.ALL"]:
            self._say(name, "has no Catch that ends with States.ALL")
        self._order(name, "Catch", catchers)

    def _order(self, name: str, what: str, rules: Sequence[Mapping[str, Any]]) -> None:
        for number, rule in enumerate(rules, start=1):
            errors = rule.get("ErrorEquals") or []
            if not errors:
                self._say(name, f"a {what} has no ErrorEquals")
            if "States.ALL" in errors and (len(errors) > 1 or number < len(rules)):
                self._say(name, f"States.ALL must stand alone, in the last {what}")

    def _expressions(self, name: str, state: State, machine: Machine) -> None:
        own = {
            key: value for key, value in state.items() if key not in {"ItemProcessor", "Branches"}
        }
        for text in _texts(own):
            match = _EXPRESSION.match(text.strip())
            if match:
                self._expression(name, match[1], machine.variables)
            elif "{%" in text or "%}" in text:
                self._say(name, f"an expression must be the whole value: {text!r}")

    def _expression(self, name: str, expression: str, variables: frozenset[str]) -> None:
        try:
            jsonata.Jsonata(expression)
        except jsonata.JException as error:
            self._say(name, f"{_one_line(expression)!r} does not compile: {error}")
            return
        code = _TEXT_IN_EXPRESSION.sub("''", expression)
        if _BARE_CONTEXT.search(code):
            self._say(name, f"{_one_line(expression)!r}: Step Functions refuses a bare $")
        parameters = _NAME.findall(" ".join(_PARAMETERS.findall(code)))
        known = variables | _BUILT_IN | {*_LOCAL.findall(code), *parameters}
        for variable in sorted(set(_NAME.findall(code)) - known):
            self._say(name, f"reads ${variable}, which no state assigns")


def _assigns(state: State) -> Iterator[Mapping[str, Any]]:
    for rule in chain([state], state.get("Choices", ()), state.get("Catch", ())):
        yield rule.get("Assign") or {}


def _targets(state: State) -> list[str]:
    rules = chain([state], state.get("Choices", ()), state.get("Catch", ()))
    targets = [rule["Next"] for rule in rules if "Next" in rule]
    return [*targets, state["Default"]] if "Default" in state else targets


def _reachable(start: str, states: Mapping[str, State]) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name in states and name not in seen:
            seen.add(name)
            ahead.extend(_targets(states[name]))
    return seen


def _ends(state: State) -> bool:
    return state.get("Type") in _ENDS or bool(state.get("End"))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)


def _one_line(expression: str) -> str:
    return " ".join(expression.split())


def substitute(text: str, values: Mapping[str, str] | None = None) -> str:
    """Put in what ``DefinitionSubstitutions`` would; without ``values`` the number 1 stands in."""
    return _SUBSTITUTION.sub(lambda match: "1" if values is None else values[match[1]], text)


def check_text(file: str, text: str) -> list[Problem]:
    """All problems of one state machine's YAML."""
    try:
        definition = YAML(typ="safe", pure=True).load(substitute(text))
    except YAMLError as error:
        return [Problem(file, "", f"is not YAML: {_one_line(str(error))}")]
    if not isinstance(definition, dict):
        return [Problem(file, "", "is not a state machine")]
    return Check(file).run(definition)


def main(files: Sequence[str]) -> int:
    """Check the files. Returns the exit code."""
    if not files:
        sys.stderr.write("usage: python tools/check_asl.py FILE...\n")
        return 2
    problems = [
        problem for file in files for problem in check_text(file, Path(file).read_text("utf-8"))
    ]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
