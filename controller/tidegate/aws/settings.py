"""What the controller's environment says: the only place that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from tidegate.core.errors import InputError

_CLOUDFORMATION_ROLE: Final = "tidegate-cloudformation"
_ANYTHING: Final = "*/*/*"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the controller's environment says."""

    table: str
    bus: str
    observation_seconds: int = 60  # the period of Lambda's metrics
    external_id: str = ""
    cloudformation_role: str = _CLOUDFORMATION_ROLE  # its name in every target account
    release_machine: str = ""  # ARN of what a retry or a rollback starts
    bus_arn: str = ""  # how hooks that answer later name the bus, from another account
    calls_at_once: int = 3  # to Lambda, before one has to wait for its turn
    operator_accounts: tuple[str, ...] = ()  # whose people may ask, beside the controller's own
    voter_roles: tuple[str, ...] = ()  # whose sessions are named for people, for certain
    seal_key: str = ""  # that votes are sealed with
    operator_rights: tuple[str, ...] = (_ANYTHING,)  # ROLE/APPLICATION/VERB each
    target_role: str = ""  # name of the role to act with there, instead of the target's own


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises ``InputError`` for a variable that is missing, or no number."""
    missing = [name for name in ("TIDEGATE_TABLE", "TIDEGATE_BUS") if not environment.get(name)]
    if missing:
        raise InputError(
            f"The environment lacks {' and '.join(missing)}.",
            remedy="Take them from the outputs of the controller's stack.",
        )
    seconds = environment.get("TIDEGATE_OBSERVATION_SECONDS") or "60"
    if not seconds.isdecimal() or not int(seconds):
        raise InputError(
            f"TIDEGATE_OBSERVATION_SECONDS is {seconds!r}.",
            remedy="Give a number of seconds, as 60.",
        )
    calls = environment.get("TIDEGATE_CALLS_AT_ONCE") or "3"
    if not calls.isdecimal() or not int(calls):
        raise InputError(f"TIDEGATE_CALLS_AT_ONCE is {calls!r}.", remedy="Give a number, as 3.")
    return Settings(
        table=environment["TIDEGATE_TABLE"],
        bus=environment["TIDEGATE_BUS"],
        observation_seconds=int(seconds),
        external_id=environment.get("TIDEGATE_EXTERNAL_ID", ""),
        cloudformation_role=environment.get("TIDEGATE_CLOUDFORMATION_ROLE", _CLOUDFORMATION_ROLE),
        release_machine=environment.get("TIDEGATE_RELEASE_MACHINE", ""),
        bus_arn=environment.get("TIDEGATE_BUS_ARN", ""),
        calls_at_once=int(calls),
        operator_accounts=_names(environment, "TIDEGATE_OPERATOR_ACCOUNTS"),
        voter_roles=_names(environment, "TIDEGATE_VOTER_ROLES"),
        seal_key=environment.get("TIDEGATE_SEAL_KEY", ""),
        operator_rights=_rights(environment),
        target_role=environment.get("TIDEGATE_TARGET_ROLE", ""),
    )


def _rights(environment: Mapping[str, str]) -> tuple[str, ...]:
    rights = _names(environment, "TIDEGATE_OPERATOR_RIGHTS") or (_ANYTHING,)
    for right in rights:
        if right.count("/") != _ANYTHING.count("/"):
            raise InputError(
                f"TIDEGATE_OPERATOR_RIGHTS has {right!r}.",
                remedy="Give ROLE/APPLICATION/VERB each, as PaymentsOnCall/pay-*/abort.",
            )
    return rights


def _names(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(filter(None, (name.strip() for name in environment.get(variable, "").split(","))))


@cache
def settings() -> Settings:
    """The settings of this process, read at the first call. Raises ``InputError``."""
    return read_settings(os.environ)
