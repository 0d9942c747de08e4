"""Reads releases from the ledger for the views. Task tokens are never read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tidegate.core.errors import NotFound
from tidegate.core.insight.history import HistoryEntry, history
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.views import ReleaseView
from tidegate.core.model.record import (
    Application,
    Execution,
    Item,
    Release,
    application_partition,
    release_partition,
)
from tidegate.core.ports import Ledger

_SHOWN = (
    *("PLAN", "TEST#", "STAGE#", "PREVIEW#", "APPROVAL#"),
    *("ROLLOUT#", "HOOK#", "HOOKLOG#", "WISH#"),
)
_IN_HISTORY = ("APPROVAL#", "ROLLOUT#")


def application_names(ledger: Ledger) -> list[str]:
    """All applications that ever had a release."""
    items = ledger.query("APPLICATIONS")
    return [item.name for item in items if isinstance(item, Application)]


def newest_releases(ledger: Ledger, application: str, limit: int) -> list[Release]:
    """The last releases of an application, newest first."""
    partition = application_partition(application)
    items = ledger.query(partition, "RELEASE#", newest_first=True, limit=limit)
    return [item for item in items if isinstance(item, Release)]


def find_release(ledger: Ledger, name: str) -> Release:
    """The release with this id, or the newest of the application with this name.

    Raises ``NotFound``.
    """
    application, _, number = name.rpartition("-")
    if application and number.isdecimal():
        sort = f"RELEASE#{int(number):08d}"
        release = ledger.get(Release, application_partition(application), sort)
        if release is not None:
            return release
    if newest := newest_releases(ledger, name, limit=1):
        return newest[0]
    raise NotFound(
        f"There is no release or application {name!r}.",
        remedy="`tidegate list` shows what there is.",
    )


def find_started(ledger: Ledger, execution_arn: str) -> Release | None:
    """The release that an execution of the state machine carries; None before it is numbered."""
    execution = ledger.get(Execution, f"EXECUTION#{execution_arn}", "EXECUTION")
    if execution is None:
        return None
    sort = f"RELEASE#{execution.number:08d}"
    return ledger.get(Release, application_partition(execution.application), sort)


def read_release(ledger: Ledger, release: Release, now: datetime) -> ReleaseView:
    """The release with all its details."""
    return release_view(release, _details(ledger, release, _SHOWN), now)


def read_again(ledger: Ledger, release_id: str, now: datetime) -> ReleaseView:
    """The release with this id as it is now, with all its details. Raises ``NotFound``."""
    return read_release(ledger, find_release(ledger, release_id), now)


def read_releases(
    ledger: Ledger, applications: Sequence[str], now: datetime, limit: int
) -> list[ReleaseView]:
    """The last releases of each application, newest first; details of those under way only."""
    return [
        release_view(release, () if release.phase.over else _details(ledger, release, _SHOWN), now)
        for application in applications
        for release in newest_releases(ledger, application, limit)
    ]


def read_history(ledger: Ledger, application: str, limit: int) -> tuple[HistoryEntry, ...]:
    """What was live when, of the last releases. Raises ``NotFound``."""
    releases = newest_releases(ledger, application, limit)
    if not releases:
        raise NotFound(f"There is no application {application!r}.", remedy="See `tidegate list`.")
    details = {release.id: _details(ledger, release, _IN_HISTORY) for release in releases}
    return history(releases, details)


def read_decisions(ledger: Ledger, release: Release) -> list[Item]:
    """The rollouts of a release with all their ticks, and its plan once there is one."""
    return _details(ledger, release, ("PLAN", "ROLLOUT#", "TICK#"))


def _details(ledger: Ledger, release: Release, prefixes: Sequence[str]) -> list[Item]:
    partition = release_partition(release.id)
    return [item for prefix in prefixes for item in ledger.query(partition, prefix)]
