"""Hear an alarm of a target, and look at what it is to judge."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tidegate.core.workflow.alarm import Alarm, hear_alarm
from tidegate.handlers.task import Answer, Call, Event, count, task


class AlarmDetail(BaseModel):
    """Which alarm changed its state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(alias="alarmName")


class AlarmEvent(Event):
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
    """End the bakes that this alarm is to judge."""
    event = call.event
    alarm = Alarm(name=event.detail.name, target=f"{event.account}/{event.region}")
    rung = hear_alarm(call.ports, alarm)
    if rung:
        count("AlarmsHeard")
    return {"rung": rung}
