"""Calls keep within a rate, whoever makes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tidegate.aws.rate_limit import RateLimit, keep_rate


class World:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.turns: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def call(self, rate_limit: RateLimit) -> None:
        rate_limit.wait()
        self.turns.append(self.time)


@pytest.fixture
def world() -> World:
    return World()


def test_a_burst_goes_at_once_and_the_rest_at_the_rate(world: World) -> None:
    rate_limit = RateLimit(10, 3, now=world.now, sleep=world.sleep)
    for _ in range(6):
        world.call(rate_limit)
    assert world.turns == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])


def test_idle_time_earns_a_burst_and_no_more(world: World) -> None:
    rate_limit = RateLimit(10, 3, now=world.now, sleep=world.sleep)
    for _ in range(5):
        world.call(rate_limit)
    world.time += 100
    world.turns.clear()
    for _ in range(5):
        world.call(rate_limit)
    assert world.turns == pytest.approx([t + world.turns[0] for t in (0, 0, 0, 0.1, 0.2)])


@pytest.mark.parametrize("rate", [1, 7, 12])
def test_no_second_has_more_than_rate_and_burst(world: World, rate: int) -> None:
    rate_limit = RateLimit(rate, 3, now=world.now, sleep=world.sleep)
    for _ in range(100):
        world.call(rate_limit)
    most = max(sum(t <= u < t + 1 for u in world.turns) for t in world.turns)
    assert most <= rate + 3


def test_threads_share_one_rate() -> None:
    booked: list[float] = []
    rate_limit = RateLimit(10, 1, now=lambda: 0.0, sleep=booked.append)
    threads = [
        threading.Thread(target=lambda: [rate_limit.wait() for _ in range(25)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(booked) == pytest.approx([n / 10 for n in range(1, 100)])


@pytest.fixture
def functions() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("lambda", region_name="eu-west-1")


def test_a_client_waits_for_each_call_that_lambda_counts(functions: Any, world: World) -> None:
    keep_rate(functions, RateLimit(1, 1, now=world.now, sleep=world.sleep))
    for _ in range(3):
        functions.list_functions()
    assert world.time == pytest.approx(2)
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function(FunctionName="nothing")
    assert world.time == pytest.approx(2)
