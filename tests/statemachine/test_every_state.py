"""The scenarios together leave no state out."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import test_release
import test_rollout
import test_stage
from scripted import DEFINITIONS, MACHINES, Theatre, definition

SCENARIOS = [*test_rollout.SCENARIOS, *test_stage.SCENARIOS, *test_release.SCENARIOS]


def states(machine: Mapping[str, Any]) -> Iterator[str]:
    for name, state in machine["States"].items():
        yield name
        for body in [state.get("ItemProcessor"), *state.get("Branches", ())]:
            if body:
                yield from states(body)


def test_every_machine_is_played() -> None:
    assert {path.name for path in DEFINITIONS.glob("*.asl.yaml")} == {
        f"{name}.asl.yaml" for name in MACHINES
    }


def test_every_state_was_entered(theatre: Theatre) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(theatre.play, SCENARIOS))
    entered = {place for outcome in outcomes for place in outcome.entered}
    there_are = {
        (name, state) for name in MACHINES for state in states(json.loads(definition(name)))
    }
    assert there_are - entered == set()
