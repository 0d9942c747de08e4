"""Makes boto3 clients: each with timeouts and retries that fit what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config

CONTROL: Final = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "total_max_attempts": 6},
)
"""Calls that may be repeated: reads, and writes that name what they expect to find."""

SHARED: Final = CONTROL.merge(Config(retries={"mode": "adaptive", "total_max_attempts": 8}))
"""Calls whose rate limit the whole account shares: the client slows down by itself, too."""

_ANSWER_SECONDS: Final = 5  # for the answer's way back

ASKING: Final = CONTROL.merge(Config(read_timeout=900 + _ANSWER_SECONDS, tcp_keepalive=True))
"""For people who ask a function: they wait as long as any may run, and do not ask twice."""


def invocation(timeout_seconds: int) -> Config:
    """For invocations: wait as long as the function may run, and never invoke twice."""
    return Config(
        connect_timeout=3,
        read_timeout=timeout_seconds + _ANSWER_SECONDS,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of an assumed role."""

    access_key: str
    secret_key: str
    session_token: str


@dataclass(frozen=True, slots=True)
class Clients:
    """Makes clients with the session's credentials, or with those of an assumed role."""

    session: boto3.Session
    region: str | None = None  # the session's unless given
    credentials: Credentials | None = None

    def make(self, service: str, config: Config = CONTROL) -> Any:
        """A client of this service."""
        client: Any = self.session.client  # its stubs know literal names only
        return client(service, region_name=self.region, config=config, **self._credentials())

    def acting_as(self, credentials: Credentials, region: str) -> Clients:
        """Makes clients for a role, in this region."""
        return Clients(self.session, region, credentials)

    def elsewhere(self, region: str) -> Clients:
        """Makes clients for the same role or session, in another region."""
        return Clients(self.session, region, self.credentials)

    def _credentials(self) -> dict[str, str]:
        if self.credentials is None:
            return {}
        return {
            "aws_access_key_id": self.credentials.access_key,
            "aws_secret_access_key": self.credentials.secret_key,
            "aws_session_token": self.credentials.session_token,
        }
