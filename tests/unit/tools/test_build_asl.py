"""State machines are built from sources that say each thing once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.scripts import load

build_asl = load("build_asl")

POLICIES: dict[str, Any] = {
    "Errors": {"Lambda is busy": ["Lambda.A", "Lambda.B"], "Busy": ["Lambda is busy", "Mine"]},
    "Retries": {
        "busy": {"ErrorEquals": ["Busy", "Other"], "IntervalSeconds": 1, "MaxAttempts": 3},
        "never": {"ErrorEquals": ["Never"], "MaxAttempts": 0},
    },
}
BUSY = {
    "ErrorEquals": ["Lambda.A", "Lambda.B", "Mine", "Other"],
    "IntervalSeconds": 1,
    "MaxAttempts": 3,
    "JitterStrategy": "FULL",
}


def built(state: dict[str, Any], **parts: dict[str, Any]) -> dict[str, Any]:
    made = build_asl.build({"StartAt": "One", "States": {"One": state}}, POLICIES, parts)
    assert made["StartAt"] == "One"
    one: dict[str, Any] = made["States"]["One"]
    return one


def test_what_is_committed_is_what_the_sources_make() -> None:
    assert build_asl.main(["--check"]) == 0


def test_a_call_is_a_task_with_a_time_limit() -> None:
    assert built({"Call": "tick", "Payload": {"a": 1}, "End": True}) == {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "${Controller}-tick", "Payload": {"a": 1}},
        "TimeoutSeconds": 90,
        "End": True,
    }


def test_a_call_may_have_a_time_limit_of_its_own_and_wait_for_its_token() -> None:
    made = built({"Call and wait": "bake", "Payload": {}, "TimeoutSeconds": 7, "End": True})
    assert made["TimeoutSeconds"] == 7
    assert made["Resource"] == "arn:aws:states:::lambda:invoke.waitForTaskToken"


def test_policies_come_in_the_order_of_their_names_with_groups_of_errors_in_full() -> None:
    never = {"ErrorEquals": ["Never"], "MaxAttempts": 0}
    assert built({"Type": "Task", "Retry": ["never", "busy"]})["Retry"] == [never, BUSY]


def test_a_caught_failure_is_kept() -> None:
    assert built({"Type": "Task", "Catch": "Restore"})["Catch"] == [
        {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"failure": "{% $states.errorOutput %}"},
            "Next": "Restore",
        }
    ]


def test_what_is_written_out_stays_as_it_is() -> None:
    state = {"Type": "Pass", "Catch": [{"ErrorEquals": ["A"], "Next": "B"}], "TimeoutSeconds": 1}
    assert built(state) == state


def test_a_part_is_filled_in_and_its_own_states_are_built() -> None:
    part = {
        "Type": "Map",
        "Items": "{% $<list> %}",
        "ItemProcessor": {"States": {"Run the <when> hook": {"Call": "hook", "Payload": "<when>"}}},
    }
    use = {"Comment": "Why.", "Use": "hooks", "With": {"when": "pre", "list": "all"}, "Next": "B"}
    made = built(use, hooks=part)
    inside = made.pop("ItemProcessor")["States"]["Run the pre hook"]
    assert inside["Arguments"] == {"FunctionName": "${Controller}-hook", "Payload": "pre"}
    assert made == {"Comment": "Why.", "Type": "Map", "Items": "{% $all %}", "Next": "B"}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"Type": "Task", "Retry": ["bussy"]}, "One: policies.yaml has no retry 'bussy'"),
        ({"Comment": "", "Use": "hoks", "With": {}, "Next": "B"}, "One: there is no hoks.yaml"),
    ],
)
def test_a_name_that_means_nothing_is_refused(state: dict[str, Any], words: str) -> None:
    with pytest.raises(build_asl.SourceError, match=words):
        built(state)


def test_a_policy_that_no_state_names_is_found() -> None:
    sources = [{"States": {"One": {"Retry": ["busy"]}}}]
    assert build_asl.unused(sources, POLICIES) == ["never"]


def test_stale_machines_are_named_and_then_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rollout.asl.yaml"
    file.write_text("old", "utf-8")
    monkeypatch.setattr(build_asl, "built", lambda: {file: "new"})
    assert build_asl.main(["--check"]) == 1
    assert (
        "rollout.asl.yaml is not what its source makes: run `make asl`." in capsys.readouterr().err
    )
    assert file.read_text("utf-8") == "old"
    assert build_asl.main([]) == 0
    assert file.read_text("utf-8") == "new"


def test_a_broken_source_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[Path, str]:
        raise build_asl.SourceError("no")

    monkeypatch.setattr(build_asl, "built", broken)
    assert build_asl.main([]) == 1
    assert capsys.readouterr().err == "no\n"
