"""Follows releases: redraws in place on a terminal, prints a line for each change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from tidegate.cli.tree import one_line, release_node, walk
from tidegate.cli.view import draw_releases
from tidegate.core.insight.views import ReleaseView

Views = Sequence[ReleaseView]


class WatchTimeoutError(TimeoutError):
    """What was waited for did not come in time."""


class _Screen(Protocol):
    """Where views are shown, again and again."""

    def update(self, views: Views) -> None: ...


class _Redrawn:
    """In place, on a terminal."""

    def __init__(self, live: Live, draw: Callable[[Views], RenderableType]) -> None:
        self._live = live
        self._draw = draw

    def update(self, views: Views) -> None:
        self._live.update(self._draw(views), refresh=True)


class _Lines:
    """A line for each change, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, str] = {}

    def update(self, views: Views) -> None:
        for view in views:
            for path, node in walk(release_node(view)):
                line = one_line(path, node)
                if self._shown.get(path) != line:
                    self._shown[path] = line
                    stamp = view.at.strftime("%H:%M:%S")
                    self._console.print(f"{stamp} {line}", soft_wrap=True)


def follow(
    read: Callable[[datetime], Views],
    until: Callable[[Views], bool],
    *,
    console: Console,
    draw: Callable[[Views], RenderableType] = draw_releases,
    every_seconds: float = 1.0,
    timeout_seconds: float | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    pause: Callable[[float], None] = time.sleep,
) -> Views:
    """Show what ``read`` gives until ``until`` says so. Raises ``WatchTimeoutError``."""
    started = now()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    context: AbstractContextManager[object] = live or nullcontext()
    screen: _Screen = _Redrawn(live, draw) if live else _Lines(console)
    with context:
        while True:
            moment = now()
            views = read(moment)
            screen.update(views)
            if until(views):
                return views
            if timeout_seconds is not None:
                left = timeout_seconds - (moment - started).total_seconds()
                if left <= 0:
                    raise WatchTimeoutError
                pause(min(every_seconds, left))
            else:
                pause(every_seconds)
