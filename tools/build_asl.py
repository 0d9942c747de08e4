"""Builds the state machines from their sources: `make asl`.

A source is ASL in YAML with five abbreviations, so that a person reads each thing once:

``Call: name``            a task function of the controller, with a ``Payload``; 90 s unless it says
``Call and wait: name``   the same, and wait until somebody answers its task token
``Retry: [busy, died]``   policies of ``policies.yaml``, in this order
``Catch: State``          on any error, keep it as ``$failure`` and go there
``Use: hooks``            the state of ``hooks.yaml``, its ``<names>`` replaced as ``With`` says

What is built is committed, because CloudFormation takes it as it is; `make check` compares them.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

MACHINES: Final = ("release", "stage", "rollout")
FOLDER: Final = Path(__file__).resolve().parents[1] / "statemachine"
_LAMBDA: Final = "arn:aws:states:::lambda:invoke"
_SECONDS: Final = 90

State = dict[str, Any]


class SourceError(Exception):
    """A source says something that has no meaning; the message names where."""


def build(
    source: Mapping[str, Any], policies: Mapping[str, Any], parts: Mapping[str, State]
) -> State:
    """The machine in full. Raises ``SourceError``."""
    retries = {
        name: {**retry, "ErrorEquals": list(_errors(retry["ErrorEquals"], policies["Errors"]))}
        for name, retry in policies["Retries"].items()
    }
    return {**source, "States": _states(source["States"], retries, parts)}


def unused(sources: Sequence[Mapping[str, Any]], policies: Mapping[str, Any]) -> list[str]:
    """The policies that no state names."""
    said = json.dumps(sources)
    return [name for name in policies["Retries"] if json.dumps(name) not in said]


def _errors(names: Sequence[str], groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name in names:
        if name in groups:
            yield from _errors(groups[name], groups)
        else:
            yield name


def _states(
    states: Mapping[str, State], retries: Mapping[str, State], parts: Mapping[str, State]
) -> dict[str, State]:
    return {name: _state(name, state, retries, parts) for name, state in states.items()}


def _state(
    name: str, state: State, retries: Mapping[str, State], parts: Mapping[str, State]
) -> State:
    if "Use" in state:
        state = _used(name, state, parts)
    made: State = {}
    for key, value in state.items():
        match key, value:
            case "Call" | "Call and wait", str():
                made |= _call(key, value, state)
            case "Payload", _:
                pass  # a part of the call
            case "Retry", _:
                made[key] = [_retry(name, policy, retries) for policy in value]
            case "Catch", str():
                made[key] = [_catch(value)]
            case "ItemProcessor", _:
                made[key] = {**value, "States": _states(value["States"], retries, parts)}
            case _:
                made[key] = value
    return made


def _used(name: str, state: State, parts: Mapping[str, State]) -> State:
    if state["Use"] not in parts:
        raise SourceError(f"{name}: there is no {state['Use']}.yaml to use.")
    text = json.dumps(parts[state["Use"]])
    for place, value in state["With"].items():
        text = text.replace(f"<{place}>", value)
    used: State = json.loads(text)
    return {"Comment": state["Comment"], **used, "Next": state["Next"]}


def _call(key: str, function: str, state: State) -> State:
    waits = key == "Call and wait"
    return {
        "Type": "Task",
        "Resource": f"{_LAMBDA}.waitForTaskToken" if waits else _LAMBDA,
        "Arguments": {"FunctionName": f"${{Controller}}-{function}", "Payload": state["Payload"]},
        "TimeoutSeconds": _SECONDS,
    }


def _retry(name: str, policy: str, retries: Mapping[str, State]) -> State:
    if policy not in retries:
        raise SourceError(f"{name}: policies.yaml has no retry {policy!r}.")
    retry = dict(retries[policy])
    return retry | ({"JitterStrategy": "FULL"} if retry["MaxAttempts"] else {})


def _catch(state: str) -> State:
    failure = {"failure": "{% $states.errorOutput %}"}
    return {"ErrorEquals": ["States.ALL"], "Assign": failure, "Next": state}


def _read(name: str) -> Any:
    return YAML(typ="safe").load((FOLDER / "source" / f"{name}.yaml").read_text("utf-8"))


def _write(machine: State, name: str) -> str:
    """The text of the machine, its states apart from each other."""
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    text = io.StringIO()
    yaml.dump(machine, text)
    return f"# Built from source/{name}.yaml by `make asl`: edit that.\n{text.getvalue()}"


def built() -> dict[Path, str]:
    """Every machine's file, and the text that it must have. Raises ``SourceError``."""
    policies, parts = _read("policies"), {"hooks": _read("hooks")}
    sources = {name: _read(name) for name in MACHINES}
    if names := unused([*sources.values(), *parts.values()], policies):
        raise SourceError(f"policies.yaml: no state uses {', '.join(names)}.")
    return {
        FOLDER / f"{name}.asl.yaml": _write(build(source, policies, parts), name)
        for name, source in sources.items()
    }


def main(arguments: Sequence[str]) -> int:
    """Write the machines; with ``--check`` only say which are not what their sources make."""
    try:
        texts = built()
    except SourceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = [file for file, text in texts.items() if file.read_text("utf-8") != text]
    if "--check" in arguments:
        for file in stale:
            sys.stderr.write(f"{file.name} is not what its source makes: run `make asl`.\n")
        return 1 if stale else 0
    for file in stale:
        file.write_text(texts[file], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
