"""Tells people through their topics what becomes of a rollout: at least once, mostly once."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.core.errors import NotFound, ServiceRefused, Transient
from tidegate.core.insight.notice import trigger_of, write_notice
from tidegate.core.model.plan import ReleaseRef, Target, Trigger
from tidegate.core.model.record import Approval, Notification, Preview, Rollout, RolloutPhase
from tidegate.core.ports import Ports, Stacks
from tidegate.core.workflow.records import find, plan_of, release_of, stage_plan


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """What an event of the bus says happened."""

    release: ReleaseRef
    stage: str
    target: str = ""  # every target of the stage, where it is about all
    phase: RolloutPhase | None = None  # none: people are asked to approve
    error: str = ""

    @property
    def trigger(self) -> Trigger | None:
        """What it is a trigger of."""
        return Trigger.READY if self.phase is None else trigger_of(self.phase, self.error)


def notify(ports: Ports, told: PublishedEvent) -> list[Notification]:
    """Send what the plan wants people to be told of this; what was sent is not sent again.

    A topic that refuses is recorded, and no obstacle for the others. Raises ``Transient`` when one
    may take the message later, after all were tried.
    """
    trigger = told.trigger
    if trigger is None:
        return []
    stage = stage_plan(plan_of(ports.ledger, told.release.id), told.stage)
    targets = [t for wave in stage.waves for t in wave if told.target in {"", t.id}]
    wanted = [wanted for wanted in stage.notifications if trigger in wanted.events]
    news = [_Message(told, trigger, target, w.topic) for target in targets for w in wanted]
    sent: list[Notification] = []
    later: list[Transient] = []
    for message in news:
        try:
            sent += _send_once(ports, message)
        except Transient as error:
            later.append(error)
    if later:
        raise later[0]
    return sent


@dataclass(frozen=True, slots=True)
class _Message:
    """One message to one topic."""

    told: PublishedEvent
    trigger: Trigger
    target: Target
    topic: str


def _send_once(ports: Ports, message: _Message) -> list[Notification]:
    """The record is written after the message has gone: a crash between sends it twice."""
    item = Notification(
        release_id=message.told.release.id,
        stage=message.told.stage,
        target=message.target.id,
        trigger=message.trigger,
        topic=message.topic,
        at=ports.clock.now(),
    )
    if ports.ledger.get(Notification, item.partition, item.sort) is not None:
        return []
    try:
        _send(ports, message)
    except (NotFound, ServiceRefused) as error:
        item = item.model_copy(update={"error": str(error)})
    return [ports.ledger.put(item)]


def _send(ports: Ports, message: _Message) -> None:
    told, target = message.told, message.target
    here = {"release_id": told.release.id, "stage": told.stage, "target": target.id}
    rollout = find(ports.ledger, Rollout, **here)
    ready = message.trigger is Trigger.READY
    preview = find(ports.ledger, Preview, **here) if ready else None
    notice = write_notice(
        message.trigger,
        release_of(ports.ledger, told.release),
        told.stage,
        target,
        rollout,
        approval=find(ports.ledger, Approval, release_id=told.release.id, stage=told.stage),
        security=preview.security if preview else (),
    )
    world = ports.targets.open(target)
    world.topics.publish(_arn(world.stacks, target, message.topic), notice.subject, notice.text)


def _arn(stacks: Stacks, target: Target, topic: str) -> str:
    """The topic's ARN at this target. Raises ``NotFound`` when the stack does not have it."""
    if topic.startswith("arn:"):
        own = {
            "${AWS::Partition}": target.role_arn.split(":")[1],
            "${AWS::Region}": target.region,
            "${AWS::AccountId}": target.account,
        }
        for name, value in own.items():
            topic = topic.replace(name, value)
        return topic
    arn = stacks.state(target.stack_name).resources.get(topic)
    if arn is None:
        raise NotFound(f"The stack {target.stack_name} has no topic {topic} yet.")
    return arn
