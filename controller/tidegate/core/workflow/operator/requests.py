"""Who asks, of which release, and the audit entry of it."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.core.approval.identity import identify
from tidegate.core.errors import NotAllowedNow, NotFound
from tidegate.core.model.plan import ReleaseRef
from tidegate.core.model.record import AuditEntry, OperatorRequest, Release, ReleasePhase
from tidegate.core.ports import Ports
from tidegate.core.text.commands import command
from tidegate.core.workflow.events import publish_operator
from tidegate.core.workflow.records import put_over, release_of


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, as AWS names them, the tool that they ask from, and by which proof."""

    who: str
    source: str = ""
    proof: str = ""  # what they signed

    def __str__(self) -> str:
        return str(identify(self.who))


def ref_named(release_id: str) -> ReleaseRef:
    """The reference behind the name that people use. Raises ``NotFound``."""
    application, _, number = release_id.rpartition("-")
    if not application or not number.isdecimal():
        raise NotFound(
            f"{release_id} is not the name of a release.",
            remedy="They look like shop-418; `tidegate list` shows them.",
        )
    return ReleaseRef(id=release_id, application=application, number=int(number))


def refuse_over(release: Release) -> None:
    """Raise ``NotAllowedNow``: nothing can be asked of a release that is over."""
    raise NotAllowedNow(
        f"{release.id} is over: it is {release.phase}.",
        remedy="`tidegate list` shows what is under way.",
    )


def under_way(ports: Ports, release_id: str) -> Release:
    """The release. Raises ``NotAllowedNow`` when it is over, or stuck."""
    release = release_of(ports.ledger, ref_named(release_id))
    if release.phase is ReleasePhase.STUCK:
        raise NotAllowedNow(
            f"{release.id} is stuck: {release.cause}",
            remedy=f"Set its traffic right, then `{command('unlock', release.id)}`.",
        )
    if release.phase.over:
        refuse_over(release)
    return release


def record_request(
    ports: Ports,
    operator: Operator,
    release_id: str,
    verb: str,
    reason: str,
    *,
    active: bool = True,
    weight: float = 0.0,
) -> OperatorRequest:
    """Record what is asked, and who asked it."""
    record_audit_entry(ports, operator, release_id, verb if active else "resume", reason)
    return put_over(
        ports.ledger,
        OperatorRequest(
            release_id=release_id,
            verb=verb,
            who=operator.who,
            reason=reason.strip(),
            at=ports.clock.now(),
            active=active,
            weight=weight,
        ),
    )


def record_audit_entry(
    ports: Ports, operator: Operator, release_id: str, verb: str, reason: str
) -> None:
    """Keep and tell who asked what, and why."""
    entry = AuditEntry(
        release_id=release_id,
        verb=verb,
        who=operator.who,
        source=operator.source,
        reason=reason.strip(),
        at=ports.clock.now(),
    )
    put_over(ports.ledger, entry)
    publish_operator(ports.bus, entry)
