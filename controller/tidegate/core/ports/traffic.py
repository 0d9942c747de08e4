"""A target's functions: aliases and their weights, versions, invocations, warm capacity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class AliasRef:
    """An alias by its physical names."""

    function: str  # function name
    alias: str


@dataclass(frozen=True, slots=True)
class AliasState:
    """An alias as it is: the version that gets the residual weight, and the weighted one."""

    version: str
    routes: Mapping[str, float]  # version -> weight, empty or one entry
    revision: str  # RevisionId, the optimistic lock


class Aliases(Protocol):
    """The routing of live aliases in one account and region."""

    def read(self, ref: AliasRef) -> AliasState:
        """Raises ``NotFound``."""

    def write(
        self, ref: AliasRef, *, version: str, routes: Mapping[str, float], expected_revision: str
    ) -> AliasState:
        """Set version and weights in one call. Raises ``AliasConflict`` when the revision moved."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How an invocation ended. ``error`` is the error type that Lambda reports, "" on success."""

    payload: Any
    error: str = ""
    log_tail: str = ""


class Functions(Protocol):
    """Lambda functions and versions in one account and region."""

    def invoke(
        self,
        function: str,
        payload: Any,
        timeout_seconds: int,
        mark: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """Invoke and wait. A timeout is an ``Invocation`` with ``error``.

        The function finds ``mark`` in its client context, under ``custom``.
        """

    def canary_blockers(self, function: str, stable: str, candidate: str) -> list[str]:
        """Why a weighted alias cannot serve both versions (role, dead letters); often none."""


class Versions(Protocol):
    """Published versions in one account and region: what they are, who uses them, their end."""

    def code(self, function: str, version: str) -> str:
        """Digest of the version's package or image, ``sha256:<hex>``. Raises ``NotFound``.

        ``$LATEST`` is a version, too.
        """

    def layers(self, function: str, version: str) -> list[str]:
        """ARNs of the layers that the version runs with, in their order. Raises ``NotFound``."""

    def layer_code(self, layer: str) -> str:
        """Digest of the content of the layer with this ARN. Raises ``NotFound``."""

    def published(self, function: str) -> list[int]:
        """The numbers of all published versions, oldest first. Raises ``NotFound``."""

    def in_use(self, function: str) -> frozenset[int]:
        """The versions that any alias of the function sends traffic to."""

    def bypasses(self, function: str) -> list[str]:
        """Who calls the function without an alias: one phrase for each."""

    def delete(self, function: str, version: int) -> None:
        """Delete one version; one that is gone is no error."""


class Warmth(StrEnum):
    """How an allocation of provisioned concurrency stands, in Lambda's words."""

    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Provisioned concurrency of a version, or of an alias. ``reason`` says why it failed."""

    executions: int  # as they were asked for
    warmth: Warmth
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VersionState:
    """Whether a version can be invoked. One with SnapStart cannot until its snapshot is taken."""

    active: bool
    failed: bool = False
    reason: str = ""  # Lambda's, of a version that is not active


class Capacity(Protocol):
    """What keeps versions warm in one account and region: provisioned concurrency and snapshots."""

    def allocations(self, function: str) -> Mapping[str, Allocation]:
        """All provisioned concurrency of the function, by version or name of the alias.

        Raises ``NotFound``.
        """

    def allocate(self, function: str, qualifier: str, executions: int) -> None:
        """Begin to allocate, or change what is allocated.

        Raises ``WarmUpFailed`` when there is no room for it, ``NotFound``.
        """

    def release(self, function: str, qualifier: str) -> None:
        """Release what is allocated; nothing, or a version that is gone, is no error."""

    def version(self, function: str, version: str) -> VersionState:
        """Raises ``NotFound``."""
