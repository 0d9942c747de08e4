"""Puts the guardian's ports together: what it needs, so that nothing else can stop it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import boto3

from tidegate.aws.aliases import LambdaAliases
from tidegate.aws.bus import EventBridgeBus
from tidegate.aws.capacity import LambdaCapacity
from tidegate.aws.clock import SystemClock
from tidegate.aws.executions import StepFunctionsExecutions
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.session import SHARED, Clients
from tidegate.aws.settings import Settings, settings
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls
from tidegate.aws.targets import AssumedTargets
from tidegate.core.errors import ServiceRefused
from tidegate.core.model.plan import Target
from tidegate.core.ports import Ports, TargetPorts

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class NotGranted:
    """A port that the guardian does not get. Every call says so."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., NoReturn]:
        """A method that refuses."""

        def refuse(*_: object, **__: object) -> NoReturn:
            raise ServiceRefused(f"The guardian may not call {self._name}.{method}.")

        return refuse


def wire_guardian(settings: Settings, session: boto3.Session) -> Ports:
    """The guardian's ports with these settings, in the session's account and region."""
    clients = Clients(session)
    clock = SystemClock()
    not_granted: Any = NotGranted
    return Ports(
        ledger=DynamoLedger(clients.make("dynamodb"), settings.table),
        artifacts=not_granted("artifacts"),
        callbacks=not_granted("callbacks"),
        bus=EventBridgeBus(clients.make("events"), settings.bus),
        targets=AssumedTargets(
            clients=clients,
            sts=clients.make("sts"),
            clock=clock,
            external_id=settings.external_id,
            open_ports=_open_ports,
            target_role=settings.target_role,
        ),
        clock=clock,
        executions=StepFunctionsExecutions(clients.make("stepfunctions")),
        seals=not_granted("seals"),
    )


def _open_ports(clients: Clients, functions: LambdaClient, target: Target) -> TargetPorts:  # noqa: ARG001 - every target alike
    not_granted: Any = NotGranted
    return TargetPorts(
        aliases=LambdaAliases(functions),
        metrics=not_granted("metrics"),
        stacks=CloudFormationStacks(
            clients.make("cloudformation", SHARED), templates=TemplateUrls(clients)
        ),
        functions=not_granted("functions"),
        versions=not_granted("versions"),
        signals=not_granted("signals"),
        topics=not_granted("topics"),
        capacity=LambdaCapacity(functions),
    )


@cache
def connect_guardian() -> Ports:
    """The ports of this process, made at the first call. Raises ``InputError``."""
    return wire_guardian(settings(), boto3.Session())
