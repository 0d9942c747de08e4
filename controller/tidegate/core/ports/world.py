"""All ports of a target, and all ports of the controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate.core.model.plan import Target
from tidegate.core.ports.controller import (
    Artifacts,
    Bus,
    Callbacks,
    Clock,
    Executions,
    Ledger,
    Seals,
    Topics,
)
from tidegate.core.ports.metrics import Metrics, Signals
from tidegate.core.ports.stacks import Stacks
from tidegate.core.ports.traffic import Aliases, Capacity, Functions, Versions


@dataclass(frozen=True, slots=True)
class TargetPorts:
    """What there is in one account and region that we deploy to."""

    aliases: Aliases
    metrics: Metrics
    stacks: Stacks
    functions: Functions
    versions: Versions
    signals: Signals
    topics: Topics
    capacity: Capacity


class Targets(Protocol):
    """The way into the accounts and regions that we deploy to."""

    def open(self, target: Target) -> TargetPorts:
        """Assume the target's role. Raises ``TidegateError`` when it refuses."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that the workflow needs from the world."""

    ledger: Ledger
    artifacts: Artifacts
    callbacks: Callbacks
    bus: Bus
    targets: Targets
    clock: Clock
    executions: Executions
    seals: Seals
    evaluation_seconds: int = 60  # how often a baking rollout is looked at
