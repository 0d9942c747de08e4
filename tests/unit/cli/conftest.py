"""Runs verbs against a controller in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import shop
from doubles import FakeBackend, Time, fill
from typer.testing import CliRunner, Result

from tidegate.cli.app import app
from tidegate.cli.backend import Context
from tidegate.core.model.record import Application, Item


class Shop:
    """The command line, with a record that holds one application."""

    def __init__(self, items: Iterable[Item], *, minutes: float = 9.3) -> None:
        self.backend = FakeBackend()
        fill(self.backend.ledger, [Application(name="shop", last_number=7), *items])
        self.time = Time(self.backend.ledger, shop.at(minutes))

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        def connect() -> Any:
            return self.backend

        def session() -> Any:
            raise AssertionError("no AWS session in these tests")

        context = Context(connect, session, now=self.time.now, pause=self.time.pause)
        return CliRunner().invoke(app, list(arguments), obj=context, input=typed)


@pytest.fixture
def the_shop() -> Callable[..., Shop]:
    return Shop
