"""The way into target accounts: roles that are assumed, and assumed again in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tidegate.aws.errors import calling
from tidegate.aws.rate_limit import RateLimit, keep_rate
from tidegate.aws.session import SHARED, Clients, Credentials
from tidegate.core.errors import ServiceRefused
from tidegate.core.model.plan import Target
from tidegate.core.ports import Clock, TargetPorts

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sts import STSClient

_SESSION_NAME: Final = "tidegate"
CALLS_AT_ONCE: Final = 3
CALLS_PER_SECOND: Final = 12
"""Of the 15 in all that Lambda allows an account: no second has more, bursts included."""

_SPARE: Final = timedelta(minutes=5)  # credentials are renewed when they last no longer than this


OpenPorts: TypeAlias = Callable[[Clients, "LambdaClient", Target], TargetPorts]
"""Makes the adapters with the clients of the assumed role; that of Lambda is held to its rate."""


@dataclass(frozen=True, slots=True)
class _Opened:
    ports: TargetPorts
    good_until: datetime


class AssumedTargets:
    """Assumes the role of each target once, and again shortly before its credentials expire.

    ``target_role`` is the name of a role there that is assumed instead of the target's own, "" for
    none. ``calls_at_once`` go to Lambda before any has to wait for its turn.
    """

    def __init__(
        self,
        *,
        clients: Clients,
        sts: STSClient,
        clock: Clock,
        external_id: str,
        open_ports: OpenPorts,
        target_role: str = "",
        calls_at_once: int = CALLS_AT_ONCE,
    ) -> None:
        self._clients = clients
        self._sts = sts
        self._clock = clock
        self._proof: dict[str, Any] = {"ExternalId": external_id} if external_id else {}
        self._open_ports = open_ports
        self._target_role = target_role
        self._calls_at_once = calls_at_once
        self._opened: dict[tuple[str, str], _Opened] = {}
        self._rate_limits: dict[tuple[str, str], RateLimit] = {}  # one for each account and region

    def open(self, target: Target) -> TargetPorts:
        """Assume the target's role. Raises ``ServiceRefused`` when it does not let us in."""
        key = (target.role_arn, target.region)
        opened = self._opened.get(key)
        if opened is None or self._clock.now() >= opened.good_until:
            opened = self._opened[key] = self._open(target)
        return opened.ports

    def _open(self, target: Target) -> _Opened:
        credentials, expiration = self._assume(target)
        clients = self._clients.acting_as(credentials, target.region)
        functions: LambdaClient = clients.make("lambda", SHARED)
        keep_rate(functions, self._rate_limit_of(target))
        return _Opened(self._open_ports(clients, functions, target), expiration - _SPARE)

    def _rate_limit_of(self, target: Target) -> RateLimit:
        """Lambda's limit is one for each account and region, and outlives credentials."""
        place = (target.account, target.region)
        return self._rate_limits.setdefault(place, RateLimit(CALLS_PER_SECOND, self._calls_at_once))

    def _assume(self, target: Target) -> tuple[Credentials, datetime]:
        role = role_in_account(target, self._target_role) or target.role_arn
        with calling(
            f"act in {target.id} as {role}",
            {"AccessDenied": ServiceRefused, "AccessDeniedException": ServiceRefused},
            remedy="See that the role exists, trusts Tidegate's role and asks for its external id.",
        ):
            answer = self._sts.assume_role(
                RoleArn=role, RoleSessionName=_SESSION_NAME, **self._proof
            )["Credentials"]
        credentials = Credentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]
        )
        return credentials, answer["Expiration"]


def role_in_account(target: Target, role: str) -> str:
    """The ARN of the role with this name in the target's account; "" for none."""
    if not role:
        return ""
    partition = target.role_arn.split(":")[1]
    return f"arn:{partition}:iam::{target.account}:role/{role}"
