"""What a hook is given: the release, the functions it may ask, and how long it has."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tidegate.hooks.callback import Callback

SCHEMA: Final = 1
MOST_SECONDS: Final = 900  # Lambda's own limit


class NotAHookEventError(ValueError):
    """A hook was invoked with something else than Tidegate sends."""


@dataclass(frozen=True, slots=True)
class ReleasedFunction:
    """A function that the release moves, with its two versions."""

    function: str  # physical name
    alias: str
    stable_version: str  # "" in a first deployment
    candidate_version: str
    candidate_arn: str  # invoke it to ask the candidate, whatever traffic it has
    alias_arn: str  # invoke it as users do

    @property
    def stable_arn(self) -> str:
        """Invoke it to ask the stable version; "" in a first deployment."""
        unqualified = self.candidate_arn.rpartition(":")[0]
        return f"{unqualified}:{self.stable_version}" if self.stable_version else ""

    @property
    def is_changed(self) -> bool:
        """Whether this release published another version of it."""
        return self.candidate_version != self.stable_version


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One run of a hook."""

    release: str  # "shop-418"
    application: str
    number: int  # of the release
    stage: str
    target: str  # "333333333333/eu-west-1"
    when: str  # "pre-traffic" or "post-traffic"
    functions: tuple[ReleasedFunction, ...]
    commit: str
    attempt: int  # 2 and more when an earlier run was lost
    seconds: float  # how long the run may take
    began: float  # of the monotonic clock
    context: Any = None  # Lambda's own
    callback: Callback | None = None  # of a hook that may answer later
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)  # what Lambda was given

    @classmethod
    def read(cls, payload: Any, context: Any = None) -> HookEvent:
        """The event in what Lambda passed to a handler. Raises ``NotAHookEventError``."""
        if not isinstance(payload, Mapping):
            raise NotAHookEventError(f"expected an object, found {type(payload).__name__}.")
        if payload.get("schema") != SCHEMA:
            raise NotAHookEventError(
                f"expected `schema` {SCHEMA}, found {payload.get('schema')!r}. Tidegate's events"
                " are described in docs/reference/hooks.md."
            )
        try:
            return _read(payload, context)
        except (KeyError, TypeError, ValueError) as error:
            raise NotAHookEventError(f"the event is not complete: {error!r}.") from error

    @property
    def function(self) -> ReleasedFunction:
        """The function, for an application that has one. Raises ``LookupError`` if it has more."""
        if len(self.functions) == 1:
            return self.functions[0]
        names = ", ".join(function.function for function in self.functions) or "none"
        raise LookupError(f"the release moves {len(self.functions)} functions ({names}).")

    @property
    def deadline(self) -> datetime:
        """When the run is ended, by the manifest's timeout or by the function's own."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds_left())

    def seconds_left(self) -> float:
        """How long the run may still take; 0 when it is over."""
        return max(0.0, self.seconds - (time.monotonic() - self.began))


def _read(payload: Mapping[str, Any], context: Any) -> HookEvent:
    release = payload["release"]
    return HookEvent(
        release=release["id"],
        application=release["application"],
        number=release["number"],
        stage=payload["stage"],
        target=payload["target"],
        when=payload["when"],
        functions=tuple(_function(function) for function in payload["functions"]),
        commit=payload["commit"],
        attempt=payload["attempt"],
        seconds=_seconds(payload, context),
        began=time.monotonic(),
        context=context,
        callback=Callback.read(payload["callback"]) if payload.get("callback") else None,
        payload=payload,
    )


def _function(described: Mapping[str, str]) -> ReleasedFunction:
    return ReleasedFunction(
        function=described["function"],
        alias=described["alias"],
        stable_version=described["stable_version"],
        candidate_version=described["candidate_version"],
        candidate_arn=described["candidate_arn"],
        alias_arn=described["alias_arn"],
    )


def _seconds(payload: Mapping[str, Any], context: Any) -> float:
    """The shorter of what the manifest and the function's own timeout allow."""
    allowed = float(payload.get("timeout_seconds", MOST_SECONDS))
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return min(allowed, remaining() / 1000) if remaining else allowed
