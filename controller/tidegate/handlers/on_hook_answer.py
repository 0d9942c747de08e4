"""Hear a hook that answers later."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tidegate.core.model.record import Outcome
from tidegate.core.workflow.hooks import asynchronous
from tidegate.handlers.task import Answer, BusEvent, Call, count, logger, task

HEARTBEAT = "Hook Heartbeat"
_LONGEST = 512  # characters of what names a run; Tidegate's own are shorter


class Said(BaseModel):
    """What whoever holds the callback of a hook has put on the bus."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    run: str = Field(max_length=_LONGEST)
    secret: str = Field(max_length=_LONGEST, repr=False)
    status: str = ""
    reason: Any = ""


class HookAnswerEvent(BusEvent):
    """EventBridge's event, from a target account: a heartbeat, or the answer."""

    account: str
    detail_type: str = Field(alias="detail-type")
    detail: Said

    @property
    def about(self) -> str:
        """The release that it claims to be of."""
        return self.detail.run.partition("/")[0]


@task(HookAnswerEvent)
def handler(call: Call[HookAnswerEvent]) -> Answer:
    """Let the hook's state wait on, or end its wait. What nobody waits for is normal."""
    said = call.event.detail
    sender = asynchronous.Sender(said.run, said.secret)
    if call.event.detail_type == HEARTBEAT:
        return _heard(call, heard=asynchronous.on_heartbeat(call.ports, sender))
    answer = {"status": said.status, "reason": said.reason}
    outcome = asynchronous.on_answer(call.ports, sender, answer)
    if outcome is Outcome.FAILED:
        count("HooksFailed", when=said.run.split("/")[4])
    return _heard(call, heard=outcome is not None)


def _heard(call: Call[HookAnswerEvent], *, heard: bool) -> Answer:
    if not heard:
        logger().info("nobody waits for this", account=call.event.account)
    return {"heard": heard}
