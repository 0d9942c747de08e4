"""What every way to invoke functions does.

A subclass gives the fixtures ``functions``, ``echo`` (name of a function that returns its event)
and ``broken`` (name of one that raises ``ValueError("no database")``).
"""

from __future__ import annotations

from tidegate.core.ports import Functions


class FunctionsContract:
    def test_invokes_and_gives_the_answer(self, functions: Functions, echo: str) -> None:
        ended = functions.invoke(echo, {"when": "pre-traffic"}, 30)
        assert ended.error == ""
        assert ended.payload == {"when": "pre-traffic"}

    def test_gives_the_error_that_the_function_raised(
        self, functions: Functions, broken: str
    ) -> None:
        ended = functions.invoke(broken, {}, 30)
        assert ended.error == "ValueError"
        assert ended.payload["errorMessage"] == "no database"
        assert "no database" in ended.log_tail
