"""What travels through the state machines stays small, however large the application is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.story import CANARY, Story
from tidegate.core.workflow.release.tests import record_tests
from tidegate.testing import machines
from tidegate.testing.application import MemoryApplication

MOST_BYTES_OF_A_PAYLOAD = 256 * 1024
MOST_BYTES_OF_AN_ITEM = 400 * 1024
FUNCTIONS, TESTS = 200, 50


@pytest.fixture
def large() -> Story:
    """An application of 200 functions with 50 tests, each with a long script."""
    tests = "".join(
        f'  - {{name: test-{number}, commands: ["{"make check; " * 40}"]}}\n'
        for number in range(TESTS)
    )
    manifest = CANARY.replace("stages:", f"tests:\n{tests}stages:", 1)
    story = Story(manifest)
    story.application = MemoryApplication(
        story.world.artifacts,
        manifest,
        functions=tuple(f"Function{number}" for number in range(FUNCTIONS)),
        hooks=("Pre", "Post"),
    )
    return story


def test_every_payload_and_item_of_a_large_release_fits(
    large: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def measure(task: Any) -> Any:
        answer = task()
        sizes.append(len(json.dumps(answer, default=str).encode()))
        return answer

    record = record_tests

    def measure_results(ports: Any, ref: Any, results: Any) -> None:
        reports = [
            {**result.model_dump(), "url": "u" * 500, "cause": "c" * 1000} for result in results
        ]
        sizes.append(len(json.dumps(reports).encode()))
        record(ports, ref, results)

    monkeypatch.setattr(machines, "record_tests", measure_results)
    large.machines.invoke = measure
    assert large.release("one") == "succeeded"
    assert large.release("two") == "succeeded"
    assert len(large.at("333333333333/eu-west-1").aliases.all()) == FUNCTIONS
    assert max(sizes) < MOST_BYTES_OF_A_PAYLOAD
    assert max(large.world.ledger.sizes().values()) < MOST_BYTES_OF_AN_ITEM
