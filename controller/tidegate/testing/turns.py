"""Several actors at once, one at a time: they change places at calls, as a seeded die says."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tidegate.testing.faults import Stopped


@dataclass(eq=False)
class _Actor:
    """A thread that waits at its gate until it is its turn."""

    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answer: Any = None
    error: BaseException | None = None

    def outcome(self) -> Any:
        """What the actor came to. Raises what it raised."""
        if self.error:
            raise self.error
        return self.answer


class Turns:
    """Runs actors in threads of which only one moves: the same seed gives the same story.

    ``restless`` is how likely an actor gives way at a call, 0 to 1.
    """

    def __init__(self, seed: int, restless: float = 0.3) -> None:
        self._dice = random.Random(seed)  # noqa: S311  # a story, not a secret
        self._restless = restless
        self._ready: list[_Actor] = []
        self._here = threading.local()

    def together(self, *acts: Callable[[], Any]) -> list[_Actor]:
        """Let all of them act at the same time, and wait until each has ended."""
        me = self._me()
        left = len(acts)

        def play(actor: _Actor, act: Callable[[], Any]) -> None:
            nonlocal left
            self._here.actor = actor
            actor.gate.acquire()
            try:
                actor.answer = act()
            except BaseException as error:  # given to whoever asks for the outcome
                actor.error = error
            left -= 1
            self._ready.remove(actor)
            if not left:
                self._ready.append(me)
            self._pass_on()

        actors = [_Actor() for _ in acts]
        if me in self._ready:
            self._ready.remove(me)
        self._ready += actors
        threads = [
            threading.Thread(target=play, args=pair) for pair in zip(actors, acts, strict=True)
        ]
        for thread in threads:
            thread.start()
        self._pass_on()
        me.gate.acquire()
        for thread in threads:
            thread.join()
        return actors

    def give_way(self, *_: object) -> None:
        """Somebody else may go on now. Of no effect for who acts alone."""
        me = self._me()
        if me in self._ready and len(self._ready) > 1 and self._dice.random() < self._restless:
            self._pass_on()
            me.gate.acquire()

    def _me(self) -> _Actor:
        if not hasattr(self._here, "actor"):
            self._here.actor = _Actor()
        actor: _Actor = self._here.actor
        return actor

    def _pass_on(self) -> None:
        self._dice.choice(self._ready).gate.release()


class RateLimit:
    """Runs one actor as many calls at a time as it is told, and keeps it waiting in between."""

    def __init__(self) -> None:
        self._may_go = threading.Semaphore(0)
        self._rests = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._calls_left = 0
        self._stopped = False
        self.over = False

    def start(self, act: Callable[[], object]) -> None:
        """Let the actor begin when it is first told to go on."""

        def play() -> None:
            self._may_go.acquire()
            try:
                if not self._stopped:
                    act()
            except Stopped:
                self._stopped = True
            finally:
                self.over = True
                self._rests.release()

        self._thread = threading.Thread(target=play, daemon=True)
        self._thread.start()

    def go_on(self, calls: int) -> None:
        """Let the actor make so many calls, or come to its end."""
        if not self.over:
            self._calls_left = calls
            self._may_go.release()
            self._rests.acquire()

    def stop(self) -> None:
        """Let nothing follow."""
        self._stopped = True
        self.go_on(1)

    def rest(self, *_: object) -> None:
        """The actor is about to make a call: wait until it may."""
        if self._stopped:
            raise Stopped
        if self._calls_left == 0:
            self._rests.release()
            self._may_go.acquire()
            if self._stopped:
                raise Stopped
        self._calls_left -= 1
