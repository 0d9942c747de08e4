"""What every way to answer task tokens does.

A subclass gives the fixtures ``callbacks`` and ``token``: a token that a task waits with.
"""

from __future__ import annotations

from tidegate.core.ports import Callbacks


class CallbacksContract:
    def test_answers_a_token_that_waits(self, callbacks: Callbacks, token: str) -> None:
        assert callbacks.succeed(token, {"answer": 42})

    def test_fails_a_token_that_waits(self, callbacks: Callbacks, token: str) -> None:
        assert callbacks.fail(token, "ApprovalRejected", "Ada said no.")

    def test_prolongs_a_token_that_waits(self, callbacks: Callbacks, token: str) -> None:
        assert callbacks.heartbeat(token)
        assert callbacks.succeed(token, {})
        assert not callbacks.heartbeat(token)

    def test_takes_a_second_answer_for_normal(self, callbacks: Callbacks, token: str) -> None:
        callbacks.succeed(token, {})
        assert not callbacks.succeed(token, {})
        assert not callbacks.fail(token, "Aborted", "too late")
