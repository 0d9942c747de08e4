"""Fixtures that more than one level of tests uses."""

import itertools
import signal
from collections.abc import Iterator

import pytest

from support.capacity_time import CapacityTime, capacity_by_hand
from tidegate_embedded.cloud import EmbeddedAws

pytest_plugins = [
    "support.account",
    "support.leftovers",
    "support.shops",
    "support.workers",
]

_accounts = itertools.count(100_000_000_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs on the embedded AWS or in processes of its own touches time; see `timed`."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if {"aws", "endpoint"} & {*fixtures} or {"cloud", "e2e"} & {
            m.name for m in item.iter_markers()
        }:
            item.add_marker("timed")


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    """The embedded AWS, one for each worker; tests keep apart by their account numbers."""
    with EmbeddedAws() as embedded:
        yield embedded


@pytest.fixture
def capacity_time(aws: EmbeddedAws) -> Iterator[CapacityTime]:
    """Lets provisioned concurrency become ready, which it does not by itself."""
    with capacity_by_hand(aws) as clock:
        yield clock


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started meanwhile hears of SIGINT, also where the tests ignore it: behind an `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def account() -> str:
    """A 12-digit account that no other test of this worker uses."""
    return str(next(_accounts))
