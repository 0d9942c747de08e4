"""A task that waits for a token heeds its heartbeats and its time limit, by a clock to turn."""

from typing import Any

import pytest
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackOutcomeTimedOut,
    HeartbeatTimedOut,
)

from tidegate_embedded.stepfunctions.tasks import heed_both_clocks


class Wait:
    """A task with a heartbeat of 10 s and a time limit of 60 s, and who beats every so often."""

    callback_id = "token"
    _heartbeat_seconds = 10

    def __init__(
        self, *, beats_every: float, beats: int, answered_after: int | None = None
    ) -> None:
        self.now = 0.0
        self.heard = 0
        self._every, self._beats, self._answered_after = beats_every, beats, answered_after

    def run(self) -> Any:
        def moto_s_own(*_: object) -> None:
            raise AssertionError("it has a heartbeat")

        return heed_both_clocks(moto_s_own, lambda: self.now)(None, self, 60, self, self)

    # the environment of the execution

    def is_running(self) -> bool:
        return True

    # the endpoint of the answer

    def get_outcome(self) -> str | None:
        return "answered" if self.heard == self._answered_after else None

    # the endpoint of the heartbeats, and their event

    @property
    def _next_heartbeat_event(self) -> "Wait":
        return self

    def wait(self, timeout: float) -> bool:
        beats = self.heard < self._beats and self._every <= timeout
        self.now += self._every if beats else timeout
        self.heard += beats
        return beats

    def clear(self) -> None:
        """The next beat is another one."""


@pytest.mark.parametrize("beats", [0, 1, 4])
def test_heartbeats_keep_a_task_alive_and_their_absence_is_an_error(beats: int) -> None:
    wait = Wait(beats_every=9, beats=beats)
    assert isinstance(wait.run(), HeartbeatTimedOut)
    assert wait.now == 9 * beats + 10


def test_heartbeats_do_not_prolong_a_task_beyond_its_time_limit() -> None:
    wait = Wait(beats_every=9, beats=100)
    assert isinstance(wait.run(), CallbackOutcomeTimedOut)
    assert wait.now == 60


def test_an_answer_ends_it() -> None:
    wait = Wait(beats_every=9, beats=100, answered_after=3)
    assert wait.run() == "answered"
    assert wait.now == 27
