"""The events that tell what changed. Their shapes are public: ``docs/reference/events.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import Approval, AuditEntry, Release, Rollout, StackLog, Stage
from tidegate.core.ports import Bus, StackEvent

VERSION = "1"
RELEASE = "Release State Change"
STAGE = "Stage State Change"
ROLLOUT = "Rollout State Change"
STACK = "Stack State Change"
APPROVAL_REQUESTED = "Approval Requested"
APPROVAL_DECIDED = "Approval Decided"
OPERATOR = "Operator Asked"


def publish_release(bus: Bus, release: Release) -> None:
    """The release has entered its phase."""
    detail = {
        "version": VERSION,
        "application": release.application,
        "release": release.id,
        "number": release.number,
        "phase": release.phase,
        "commit": release.artifact.commit,
        "branch": release.artifact.branch,
        "author": release.artifact.author,
        "error": release.error,
        "cause": release.cause,
    }
    bus.publish(RELEASE, detail)


def publish_stage(bus: Bus, release: ReleaseRef, stage: Stage) -> None:
    """The stage has entered its phase."""
    said = {"phase": stage.phase, "error": stage.error, "cause": stage.cause}
    bus.publish(STAGE, {**_common(release, stage.name), **said})


def publish_rollout(bus: Bus, release: ReleaseRef, rollout: Rollout) -> None:
    """The rollout has entered its phase, or the candidates have another weight."""
    detail = {
        **_common(release, rollout.stage),
        "target": rollout.target,
        "phase": rollout.phase,
        "weight": rollout.weight,
        "alarms_before": list(rollout.baseline_alarms),
        "shifts": [shift.model_dump(mode="json") for shift in rollout.shifts],
        "error": rollout.error,
        "cause": rollout.cause,
    }
    bus.publish(ROLLOUT, detail)


def publish_stack(bus: Bus, release: ReleaseRef, log: StackLog, event: StackEvent) -> None:
    """CloudFormation has brought the stack into another status."""
    detail = {
        **_common(release, log.stage),
        "target": log.target,
        "stack": event.logical_id,
        "operation": log.operation,
        "status": event.status,
        "reason": event.reason,
        "at": event.at.isoformat(),
    }
    bus.publish(STACK, detail)


def publish_approval_requested(bus: Bus, release: ReleaseRef, approval: Approval) -> None:
    """People are asked to decide on a stage."""
    bus.publish(APPROVAL_REQUESTED, {**_common(release, approval.stage), **_approval(approval)})


def publish_approval_decided(bus: Bus, release: ReleaseRef, approval: Approval) -> None:
    """The request is decided, or nobody decided in time."""
    votes = [v.model_dump(mode="json", exclude={"proof", "seal"}) for v in approval.votes]
    detail = {
        **_common(release, approval.stage),
        **_approval(approval),
        "decision": approval.decision,
        "votes": votes,
    }
    bus.publish(APPROVAL_DECIDED, detail)


def publish_operator(bus: Bus, entry: AuditEntry) -> None:
    """An operator has asked something of a release."""
    application, _, number = entry.release_id.rpartition("-")
    detail = {
        "version": VERSION,
        "application": application,
        "release": entry.release_id,
        "number": int(number),
        "verb": entry.verb,
        "who": entry.who,
        "reason": entry.reason,
    }
    bus.publish(OPERATOR, detail)


def _common(release: ReleaseRef, stage: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "application": release.application,
        "release": release.id,
        "number": release.number,
        "stage": stage,
    }


def _approval(approval: Approval) -> Mapping[str, Any]:
    return {
        "approvers": approval.needed,
        "authors": list(approval.authors),
        "doubts": list(approval.doubts),
        "digest": approval.digest,
        "requested_at": approval.requested_at.isoformat(),
        "deadline": approval.deadline.isoformat(),
    }
