"""What a rollout's state machine promises: no end with split traffic, no history that overflows.

Both are read off the definition as a graph. ``unsafe_ends`` walks every edge, errors included;
``most_events`` adds up what an execution can write into its history at the most.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

State = Mapping[str, Any]

EVENTS_IN_A_HISTORY = 25_000
_SPLITS = "-tick"  # the suffixes of the functions that matter
_RESTORES = "-restore-traffic"
_FINISHES = "-finish"
_SAYS_STUCK = "-declare-stuck"
_START_EXECUTION = ":states:startExecution"
_BOUND = re.compile(r"\$(\w+) >= \$\{(\w+)\}")
_EVENTS_OF_A_TASK = 5  # entered, scheduled, started, succeeded, exited
_EVENTS_OF_ANOTHER_ATTEMPT = 3  # failed, scheduled, started
_EVENTS_OF_A_MAP = 4  # entered, started, succeeded, exited
_EVENTS_OF_AN_ITERATION = 2
_EVENTS_OF_THE_EXECUTION = 2
_EVENTS_OF_A_STATE = 2  # entered, exited


def unsafe_ends(definition: Mapping[str, Any]) -> list[str]:
    """Each way in which an execution can end and leave traffic split, as a sentence.

    Traffic may be split from the first tick on. It is not any more once it was restored, once the
    stack is being finished (the candidate has it all, then), or once another execution has seen
    to it. What fails at restoring or finishing must say that it is stuck before it ends, and a
    candidate that is being finished keeps its traffic.
    """
    states: Mapping[str, State] = definition.get("States") or {}
    found = []
    for tick in _calling(states, _SPLITS):
        safe = {*_calling(states, _RESTORES), *_calling(states, _FINISHES)}
        found += [
            f"can end with split traffic: {' -> '.join(path)}"
            for path in _paths_to_ends(states, [tick], safe)
        ]
    stuck = set(_calling(states, _SAYS_STUCK))
    for name in [*_calling(states, _RESTORES), *_calling(states, _FINISHES)]:
        found += [
            f"can fail without a word: {' -> '.join([name, *path])}"
            for path in _paths_to_ends(states, _caught(states[name]), stuck)
        ]
    restores = set(_calling(states, _RESTORES))
    for name in _calling(states, _FINISHES):
        if restores & _reachable(states, _caught(states[name])):
            found.append(f"takes traffic from a validated candidate when {name} fails")
    return found


def most_events(
    definition: Mapping[str, Any], values: Mapping[str, int], *, items: int, attempts: int = 1
) -> int:
    """The most events that one execution writes, when each task needs so many ``attempts``.

    ``values`` are the machine's substitutions: a loop turns as often as the bound in it allows.
    Each Map has ``items``. Raises ``ValueError`` for a loop that nothing bounds.
    """
    states: Mapping[str, State] = definition["States"]
    total = _EVENTS_OF_THE_EXECUTION
    for loop in _loops(states):
        turns = _bound(states, loop, values) + 1 if _turns(states, loop) else 1
        total += turns * sum(_events(states[name], values, items, attempts) for name in loop)
    return total


def _events(state: State, values: Mapping[str, int], items: int, attempts: int) -> int:
    if state["Type"] == "Task":
        waits = state["Resource"].endswith((".waitForTaskToken", ".sync", ".sync:2"))
        again = (attempts - 1) * (_EVENTS_OF_ANOTHER_ATTEMPT + waits)
        return _EVENTS_OF_A_TASK + waits + again
    if state["Type"] == "Map":
        inner = most_events(state["ItemProcessor"], values, items=items, attempts=attempts)
        return _EVENTS_OF_A_MAP + items * (inner + _EVENTS_OF_AN_ITERATION)
    return _EVENTS_OF_A_STATE


def _bound(states: Mapping[str, State], loop: Collection[str], values: Mapping[str, int]) -> int:
    """How often the loop turns: the smallest bound among its choices."""
    bounds = [
        values[name]
        for state in (states[name] for name in loop)
        for choice in state.get("Choices", ())
        for _, name in _BOUND.findall(choice["Condition"])
    ]
    if not bounds:
        raise ValueError(f"Nothing bounds the loop of {', '.join(sorted(loop))}.")
    return min(bounds)


def _loops(states: Mapping[str, State]) -> Iterator[set[str]]:
    """The strongly connected parts: states that lead to each other, and each other state alone."""
    ahead = {name: _reachable(states, _edges(state)) for name, state in states.items()}
    seen: set[str] = set()
    for name in states:
        if name not in seen:
            loop = {name} | {other for other in ahead[name] if name in ahead[other]}
            seen |= loop
            yield loop


def _turns(states: Mapping[str, State], loop: Collection[str]) -> bool:
    return any(target in loop for name in loop for target in _edges(states[name]))


def _calling(states: Mapping[str, State], suffix: str) -> list[str]:
    """The states that invoke the function with this suffix."""
    return [
        name
        for name, state in states.items()
        if str((state.get("Arguments") or {}).get("FunctionName", "")).endswith(suffix)
    ]


def _caught(state: State) -> list[str]:
    return [rule["Next"] for rule in state.get("Catch", ())]


def _edges(state: State) -> list[str]:
    """Every state that may follow. Success of a nested execution is an end that is its own."""
    rules: list[Mapping[str, Any]] = [*state.get("Choices", ()), *state.get("Catch", ())]
    targets = [rule["Next"] for rule in rules]
    nested = _START_EXECUTION in str(state.get("Resource", ""))
    if "Next" in state and not nested:
        targets.append(state["Next"])
    return [*targets, state["Default"]] if "Default" in state else targets


def _reachable(states: Mapping[str, State], starts: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    ahead = list(starts)
    while ahead:
        name = ahead.pop()
        if name in states and name not in seen:
            seen.add(name)
            ahead += _edges(states[name])
    return seen


def _paths_to_ends(
    states: Mapping[str, State], starts: Sequence[str], safe: Collection[str]
) -> Iterator[list[str]]:
    """One path to each end that can be reached without passing a safe state."""
    ahead = [[start] for start in starts]
    seen: set[str] = set()
    while ahead:
        path = ahead.pop(0)
        name = path[-1]
        if name in seen or name in safe or name not in states:
            continue
        seen.add(name)
        state = states[name]
        if state.get("Type") in {"Succeed", "Fail"} or state.get("End"):
            yield path
        ahead += [[*path, target] for target in _edges(state)]
