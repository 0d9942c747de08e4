"""Do what an operator asks: approve, reject, abort."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import boto3
from pydantic import Field

from tidegate.aws.identity import verify
from tidegate.core.workflow import operate
from tidegate.core.workflow.operate import Operator
from tidegate.handlers.task import Answer, Call, Event, count, task


class OperateEvent(Event):
    """What is asked, and the proof of who asks."""

    verb: Literal["approve", "reject", "abort"]
    release_id: str
    stage: str = ""
    reason: str = ""
    identity_proof: Mapping[str, Any] = Field(repr=False)

    @property
    def about(self) -> str:
        """The release."""
        return self.release_id

    @property
    def subject(self) -> str:
        """What the proof must be for."""
        return f"{self.verb}:{self.release_id}:{self.stage}"


@task(OperateEvent)
def handler(call: Call[OperateEvent]) -> Answer:
    """Find out who asks, and do it in their name."""
    event = call.event
    operator = Operator(who=verify(_session(), event.identity_proof, event.subject), source="cli")
    message = _do(call, operator)
    count("OperatorsHeard", verb=event.verb)
    return {"message": message}


def _do(call: Call[OperateEvent], operator: Operator) -> str:
    event, ports = call.event, call.ports
    match event.verb:
        case "approve":
            return operate.approve(ports, operator, event.release_id, event.stage, event.reason)
        case "reject":
            return operate.reject(ports, operator, event.release_id, event.reason, event.stage)
    return operate.abort(ports, operator, event.release_id, event.reason)


@cache
def _session() -> boto3.Session:
    return boto3.Session()
