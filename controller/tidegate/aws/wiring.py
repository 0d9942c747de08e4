"""Puts the ports together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import boto3

from tidegate.aws.aliases import LambdaAliases
from tidegate.aws.artifacts import S3Artifacts
from tidegate.aws.bus import EventBridgeBus
from tidegate.aws.callbacks import StepFunctionsCallbacks
from tidegate.aws.capacity import LambdaCapacity
from tidegate.aws.clock import SystemClock
from tidegate.aws.executions import StepFunctionsExecutions
from tidegate.aws.functions import LambdaFunctions
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.metrics import CloudWatchMetrics
from tidegate.aws.seals import KmsSeals
from tidegate.aws.session import SHARED, Clients, invocation
from tidegate.aws.settings import Settings, settings
from tidegate.aws.signals import CloudWatchSignals
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls
from tidegate.aws.targets import AssumedTargets, OpenPorts, role_in_account
from tidegate.aws.topics import SnsTopics
from tidegate.aws.versions import LambdaVersions
from tidegate.core.model.plan import Target
from tidegate.core.ports import Ports, TargetPorts

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def adapters(
    templates: TemplateUrls, period_seconds: int, cloudformation_role: str = ""
) -> OpenPorts:
    """Makes every adapter of a target.

    ``period_seconds`` is the grain of the metrics. ``cloudformation_role`` is the name of the role
    in the target's account that CloudFormation works with; "" lets it work with the target's role.
    """

    def open_ports(clients: Clients, functions: LambdaClient, target: Target) -> TargetPorts:
        return TargetPorts(
            aliases=LambdaAliases(functions),
            metrics=CloudWatchMetrics(clients.make("cloudwatch"), period_seconds),
            stacks=CloudFormationStacks(
                clients.make("cloudformation", SHARED),
                templates=templates,
                role_arn=role_in_account(target, cloudformation_role),
            ),
            functions=LambdaFunctions(functions, _invoker(clients)),
            versions=LambdaVersions(functions),
            signals=CloudWatchSignals(clients.make("cloudwatch")),
            topics=SnsTopics(lambda region: clients.elsewhere(region).make("sns")),
            capacity=LambdaCapacity(functions),
        )

    return open_ports


def wire(settings: Settings, session: boto3.Session) -> Ports:
    """The ports of a controller with these settings, in the session's account and region."""
    clients = Clients(session)
    clock = SystemClock()
    s3 = clients.make("s3")
    states = clients.make("stepfunctions")
    return Ports(
        ledger=DynamoLedger(clients.make("dynamodb"), settings.table),
        artifacts=S3Artifacts(s3),
        callbacks=StepFunctionsCallbacks(states),
        bus=EventBridgeBus(clients.make("events"), settings.bus),
        targets=AssumedTargets(
            clients=clients,
            sts=clients.make("sts"),
            clock=clock,
            external_id=settings.external_id,
            open_ports=adapters(
                TemplateUrls(clients), settings.observation_seconds, settings.cloudformation_role
            ),
            calls_at_once=settings.calls_at_once,
        ),
        clock=clock,
        executions=StepFunctionsExecutions(states, settings.release_machine),
        seals=KmsSeals(lambda: clients.make("kms"), settings.seal_key),
        evaluation_seconds=settings.observation_seconds,
    )


def _invoker(clients: Clients) -> Callable[[int], LambdaClient]:
    @cache
    def invoker(timeout_seconds: int) -> LambdaClient:
        client: LambdaClient = clients.make("lambda", invocation(timeout_seconds))
        return client

    return invoker


@cache
def connect() -> Ports:
    """The ports of this process, made at the first call. Raises ``InputError``."""
    return wire(settings(), boto3.Session())
