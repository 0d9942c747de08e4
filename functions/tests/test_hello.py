"""How the hello function answers."""

from __future__ import annotations

import unittest
from types import SimpleNamespace
from typing import Any

from hello import app

CONTEXT = SimpleNamespace(function_version="1")


def ask(**request: Any) -> dict[str, Any]:
    return app.handler(request, CONTEXT)


class Hello(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(ask(name="Ada"), {"status": 200, "message": "Hello, Ada!"})

    def test_greets_the_world_when_no_name_is_given(self) -> None:
        self.assertEqual(ask(), {"status": 200, "message": "Hello, world!"})

    def test_ignores_space_around_the_name(self) -> None:
        self.assertEqual(ask(name="  Ada ")["message"], "Hello, Ada!")

    def test_refuses_a_name_that_is_no_text_or_empty(self) -> None:
        for name in ("", "  ", 7, None, ["Ada"]):
            with self.subTest(name=name):
                self.assertEqual(ask(name=name)["status"], 400)

    def test_refuses_a_name_that_is_too_long_and_says_how_long_it_may_be(self) -> None:
        answer = ask(name="a" * 81)
        self.assertEqual(answer["status"], 400)
        self.assertIn("80 characters, it has 81", answer["message"])
