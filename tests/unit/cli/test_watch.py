"""How releases are followed, on a terminal and elsewhere."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import doubles
import pytest
import shop
from rich.console import Console

from tidegate.cli.reading import read_releases
from tidegate.cli.watch import Views, WatchTimeoutError, follow
from tidegate.core.model.record import ReleasePhase
from tidegate.testing.memory import MemoryLedger


def console(*, terminal: bool) -> Console:
    return Console(
        file=StringIO(), force_terminal=terminal, width=100, height=40, color_system=None
    )


def printed(screen: Console) -> str:
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


def over(views: Views) -> bool:
    return all(view.phase.over for view in views)


@pytest.fixture
def time() -> doubles.Time:
    ledger = MemoryLedger()
    doubles.fill(ledger, [shop.release(), *shop.shifting()])
    ended = shop.release(ReleasePhase.SUCCEEDED, ended=20)
    return doubles.Time(ledger, shop.at(9.3), changes=iter([[], [ended]]))


def followed(time: doubles.Time, screen: Console, *, timeout_seconds: float | None = None) -> Views:
    return follow(
        lambda now: read_releases(time.ledger, ["shop"], now, limit=5),
        lambda views: all(view.phase.over for view in views),
        console=screen,
        timeout_seconds=timeout_seconds,
        now=time.now,
        pause=time.pause,
    )


def test_a_terminal_is_redrawn_in_place(time: doubles.Time) -> None:
    screen = console(terminal=True)
    followed(time, screen)
    assert "\x1b[1A\x1b[2K" in printed(screen)  # up a line, and clear it
    assert "step 1/2  50 % in 3m42s" in printed(screen)
    assert "step 1/2  50 % in 3m41s" in printed(screen)
    assert "shop-7  ✔ succeeded  0000007 Add coupons" in printed(screen)


def test_elsewhere_what_does_not_change_is_printed_once(time: doubles.Time) -> None:
    screen = console(terminal=False)
    views = followed(time, screen)
    assert [view.phase for view in views] == [ReleasePhase.SUCCEEDED]
    lines = [line.split(" ", 1)[1] for line in printed(screen).splitlines()]
    assert len(lines) == len(set(lines))
    assert lines[-1] == "✔ shop-7: succeeded"


def test_nothing_is_watched_after_the_timeout(time: doubles.Time) -> None:
    time.changes = iter([])
    with pytest.raises(WatchTimeoutError):
        followed(time, console(terminal=False), timeout_seconds=2.5)
    assert time.moment == shop.at(9.3) + timedelta(seconds=2.5)
