"""Hear an alarm of a target, and take back the traffic that it is to judge."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from tidegate.core.workflow.rollout.on_alarm import Alarm, on_alarm
from tidegate.handlers.task import Answer, BusEvent, Call, count, task


class AlarmState(BaseModel):
    """The state that the alarm has now, and since when, to the millisecond."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    timestamp: datetime


class AlarmDetail(BaseModel):
    """Which alarm changed its state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(alias="alarmName")
    state: AlarmState


class AlarmEvent(BusEvent):
    """CloudWatch's own event: an alarm of this account and region has begun to fire."""

    account: str
    region: str
    detail: AlarmDetail

    @property
    def about(self) -> str:
        """The alarm."""
        return self.detail.name


@task(AlarmEvent)
def handler(call: Call[AlarmEvent]) -> Answer:
    """Take back what this alarm is to judge."""
    event = call.event
    target = f"{event.account}/{event.region}"
    alarm = Alarm(name=event.detail.name, target=target, at=event.detail.state.timestamp)
    rung = on_alarm(call.ports, alarm)
    if rung:
        count("AlarmsHeard")
    return {"rung": rung}
