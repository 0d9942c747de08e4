"""The embedded Lambda refuses what exceeds its limit, and Tidegate's pace never does."""

from __future__ import annotations

import pytest

from tidegate.aws.rate_limit import RateLimit
from tidegate.aws.targets import CALLS_AT_ONCE, CALLS_PER_SECOND
from tidegate_embedded.gateway import Request
from tidegate_embedded.lambdas.limits import LambdaRateLimit

ALIAS = "/2015-03-31/functions/hello/aliases/live"


class World:
    """Time that passes only while somebody sleeps."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def request(method: str = "GET", path: str = ALIAS, account: str = "1" * 12) -> Request:
    return Request(method, path, path, {}, {}, b"", account, "eu-west-1")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def limit(world: World) -> LambdaRateLimit:
    limit = LambdaRateLimit(now=world.now)
    limit.enforced = True
    return limit


def test_refuses_the_sixteenth_call_of_a_second(limit: LambdaRateLimit, world: World) -> None:
    assert [limit.matches(request()) for _ in range(16)] == [False] * 15 + [True]
    assert limit.handle(request()).status == 429
    world.time += 1.01
    assert not limit.matches(request())
    assert (limit.calls, limit.refused) == (17, 1)


def test_each_account_has_its_own_limit(limit: LambdaRateLimit) -> None:
    for _ in range(15):
        limit.matches(request())
    assert not limit.matches(request(account="2" * 12))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/2015-03-31/functions/hello/invocations"),
        ("GET", "/2015-03-31/functions/hello"),
        ("GET", "/2015-03-31/functions/hello/policy"),
        ("POST", "/"),
    ],
)
def test_what_has_a_limit_of_its_own_is_not_counted(
    limit: LambdaRateLimit, method: str, path: str
) -> None:
    assert not any(limit.matches(request(method, path)) for _ in range(50))
    assert limit.calls == 0


def test_deleting_a_version_is_counted(limit: LambdaRateLimit) -> None:
    limit.matches(request("DELETE", "/2015-03-31/functions/hello"))
    assert limit.calls == 1


def test_nothing_is_refused_before_it_is_enforced() -> None:
    limit = LambdaRateLimit()
    assert not any(limit.matches(request()) for _ in range(100))


def test_tidegates_own_pace_is_never_refused(limit: LambdaRateLimit, world: World) -> None:
    rate_limit = RateLimit(CALLS_PER_SECOND, CALLS_AT_ONCE, now=world.now, sleep=world.sleep)
    for number in range(500):
        world.time += (number % 50 == 0) * 3.0  # between ticks
        rate_limit.wait()
        limit.matches(request("PUT"))
    assert (limit.calls, limit.refused) == (500, 0)
    assert world.time < 500 / CALLS_PER_SECOND + 31
