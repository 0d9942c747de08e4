"""What would stop or blind a release is found before one needs it."""

from __future__ import annotations

import boto3
import pytest

from support.story import PROD, TEST, Story
from tidegate.core.errors import NotFound, ServiceRefused
from tidegate.core.model.stack_status import Standing, remedy, standing
from tidegate.core.ports import AliasRef
from tidegate.core.workflow.operator.doctor import Finding, diagnose

_MODEL = boto3.client("cloudformation", region_name="eu-west-1").meta.service_model
STATUSES = _MODEL.shape_for("StackStatus").enum


def found(story: Story, what: str, target: str = PROD) -> list[Finding]:
    findings = diagnose(story.ports, "hello")
    return [f for f in findings if f.what == what and f.place.endswith(target)]


def test_all_is_well_where_releases_are_called(live: Story) -> None:
    for name in ("Hello", "Bye"):
        ref = AliasRef(f"hello-prod-{name}", "live")
        live.at(PROD).signals.served.append((live.world.clock.now(), ref, "1", 300))
    live.world.clock.advance(60)
    assert [f.well for f in found(live, "role") + found(live, "stack") + found(live, "alarm")] == [
        True,
        True,
        True,
    ]
    assert [(f.well, f.says) for f in found(live, "metrics")] == [
        (True, "hello-prod-Hello:live had 300 requests on version 1 in a day"),
        (True, "hello-prod-Bye:live had 300 requests on version 1 in a day"),
    ]


def test_versions_that_nobody_calls_are_said(live: Story) -> None:
    (hello, _) = found(live, "metrics", TEST)
    assert not hello.well
    assert "0 requests on version 1" in hello.says
    assert hello.remedy


@pytest.mark.parametrize(
    ("state", "says"),
    [("firing", "fires now"), ("silent", "has no data"), ("gone", "is not there")],
)
def test_alarms_that_cannot_tell_are_said(live: Story, state: str, says: str) -> None:
    at = live.at(PROD)
    if state == "firing":
        at.metrics.alarms["HelloErrors"] = True
    elif state == "silent":
        at.signals.silent.add("HelloErrors")
    else:
        del at.metrics.alarms["HelloErrors"]
    (alarm,) = found(live, "alarm")
    assert (alarm.well, alarm.says) == (False, f"HelloErrors {says}")


def test_provisioned_concurrency_that_warms_nobody_is_said(live: Story) -> None:
    capacity = live.at(PROD).capacity
    capacity.allocate("hello-prod-Hello", "1", 2)
    assert [(f.well, f.says) for f in found(live, "capacity")] == [
        (True, "hello-prod-Hello:1 has 2 of provisioned concurrency, IN_PROGRESS")
    ]
    live.at(PROD).aliases.set("hello-prod-Hello", "live", "2")
    (idle,) = found(live, "capacity")
    assert not idle.well
    assert idle.says.endswith("and nothing serves that version")
    assert "--function-name hello-prod-Hello --qualifier 1" in idle.remedy


def test_an_allocation_that_failed_is_said_with_its_reason(live: Story) -> None:
    capacity = live.at(PROD).capacity
    capacity.allocate("hello-prod-Bye", "live", 2)
    capacity.failing["hello-prod-Bye", "live"] = "init failed"
    (failed,) = found(live, "capacity")
    assert (failed.well, failed.says.endswith("FAILED: init failed")) == (False, True)


def test_capacity_that_cannot_be_looked_at_is_said(
    live: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> object:
        raise ServiceRefused("no right to", remedy="Give it.")

    monkeypatch.setattr(live.at(PROD).capacity, "allocations", refuse)
    assert [f.says for f in found(live, "capacity")] == ["no right to"] * 2


def test_broken_stack_is_said_with_its_reason_and_mend(live: Story) -> None:
    stack = live.at(PROD).stacks._stacks["hello-prod"]
    stack.status, stack.reason = "UPDATE_ROLLBACK_FAILED", "Table: it is gone."
    (broken,) = found(live, "stack")
    assert not broken.well
    assert broken.says == "hello-prod is UPDATE_ROLLBACK_FAILED: Table: it is gone."
    assert "continue-update-rollback" in broken.remedy


def test_stack_that_is_not_there_yet_is_well(live: Story) -> None:
    del live.at(PROD).stacks._stacks["hello-prod"]
    (stack,) = found(live, "stack")
    assert (stack.well, stack.says) == (True, "hello-prod is not there yet")
    assert found(live, "alarm") == found(live, "metrics") == []


def test_role_that_refuses_ends_the_look_at_its_target(
    live: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = live.world.targets.open

    def refuse(target: object) -> object:
        if target.id == PROD:  # type: ignore[attr-defined]
            raise ServiceRefused("it does not trust us.", remedy="Deploy the role.")
        return opening(target)  # type: ignore[arg-type]

    monkeypatch.setattr(live.world.targets, "open", refuse)
    (role,) = [f for f in diagnose(live.ports, "hello") if f.place.endswith(PROD)]
    assert (role.what, role.well, role.says) == ("role", False, "it does not trust us.")
    assert role.remedy == "Deploy the role."
    assert found(live, "stack", TEST)


def test_signals_that_cannot_be_read_are_said(live: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ServiceRefused("not allowed.")

    monkeypatch.setattr(live.at(PROD).signals, "alarms", refuse)
    monkeypatch.setattr(live.at(PROD).signals, "requests", refuse)
    assert [f.says for f in found(live, "alarm")] == ["not allowed."]
    assert [f.says for f in found(live, "metrics")] == ["not allowed.", "not allowed."]


def test_application_without_a_release_is_not_known(story: Story) -> None:
    with pytest.raises(NotFound, match="no release of hello"):
        diagnose(story.ports, "hello")


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_cloudformation_is_understood(status: str) -> None:
    broken = standing(status) is Standing.BROKEN
    assert bool(remedy(status)) == broken
    assert "Look at its events" not in remedy(status)
    if status.endswith("_FAILED") or status == "ROLLBACK_COMPLETE":
        assert broken
    elif status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        assert standing(status) is Standing.BUSY
    else:
        assert standing(status) is Standing.READY


def test_status_that_nobody_knows_is_no_place_to_deploy_to() -> None:
    assert standing("SOMETHING_NEW") is Standing.BROKEN
    assert remedy("SOMETHING_NEW") == "Look at its events in CloudFormation, then release again."
