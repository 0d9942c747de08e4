"""The pool of execution environments: reuse, bounds, reaping; and what they run from."""

import io
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from support.waiting import HANGS_AFTER_SECONDS
from tidegate_embedded.lambdas.functions import FunctionVersion, pick
from tidegate_embedded.lambdas.packages import InvalidPackageError, PackageStore
from tidegate_embedded.lambdas.pool import EnvironmentPool, NoEnvironmentError
from tidegate_embedded.lambdas.runtime import Environment, RuntimeFactory, UnsupportedPlatformError

pytestmark = pytest.mark.timed


def version(number: str, code: bytes = b"", **settings: Any) -> FunctionVersion:
    arn = f"arn:aws:lambda:eu-west-1:100000000001:function:fn:{number}"
    config = {"FunctionArn": arn, "FunctionName": "fn", "Version": number, **settings}
    return FunctionVersion.of({"config": config, "code_zip": code})


class FakeEnvironment:
    """An environment without a process."""

    def __init__(self, version: FunctionVersion) -> None:
        self.version = version
        self.usable = True
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Pool:
    """A small pool of fakes, with a clock to turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self.started: list[FakeEnvironment] = []
        self.pool = EnvironmentPool(
            self._start,
            clock=lambda: self.now,
            keep_warm_seconds=300,
            max_environments=3,
            max_per_version=2,
            queue_seconds=0.05,
        )

    def _start(self, version: FunctionVersion) -> Environment:
        self.started.append(FakeEnvironment(version))
        return cast("Environment", self.started[-1])

    def use(self, *numbers: str) -> list[Environment]:
        """Have environments of these versions busy at the same time, once."""
        with ExitStack() as busy:
            return [
                busy.enter_context(self.pool.environment(version(number))) for number in numbers
            ]


@pytest.fixture
def pool() -> Pool:
    return Pool()


def test_reuses_the_environment_that_was_used_last(pool: Pool) -> None:
    pool.use("1", "1")
    [again] = pool.use("1")

    assert len(pool.started) == 2
    assert again is pool.use("1")[0]


def test_equal_versions_share_environments_and_others_do_not(pool: Pool) -> None:
    pool.use("1")
    pool.use("1")
    pool.use("2")

    assert [each.version.number for each in pool.started] == ["1", "2"]


def test_closes_an_environment_that_is_of_no_more_use(pool: Pool) -> None:
    with pool.pool.environment(version("1")) as environment:
        environment.usable = False

    assert pool.started[0].closed
    pool.use("1")
    assert len(pool.started) == 2


def test_closes_the_environment_of_an_invocation_that_broke_off(pool: Pool) -> None:
    def break_off() -> None:
        with pool.pool.environment(version("1")):
            raise OSError("the answer got lost")

    with pytest.raises(OSError, match="lost"):
        break_off()

    assert pool.started[0].closed


def test_a_version_has_so_many_environments_and_no_more(pool: Pool) -> None:
    with pytest.raises(NoEnvironmentError, match=r"fn waited 0 s .* 2 are busy"):
        pool.use("1", "1", "1")


def test_who_waits_gets_the_next_free_environment(pool: Pool) -> None:
    pool.pool = EnvironmentPool(pool._start, max_per_version=1, queue_seconds=HANGS_AFTER_SECONDS)
    got: list[Environment] = []
    with pool.pool.environment(version("1")) as first:
        waiting = threading.Thread(target=lambda: got.extend(pool.use("1")))
        waiting.start()
    waiting.join()

    assert got == [first]


def test_makes_room_by_closing_the_environment_that_is_idle_longest(pool: Pool) -> None:
    for number in ("1", "2", "3", "4"):
        pool.use(number)

    assert [each.closed for each in pool.started] == [True, False, False, False]


def test_reaps_what_was_idle_for_too_long(pool: Pool) -> None:
    pool.use("1")
    pool.now = 200
    pool.use("2")
    pool.now = 301

    pool.pool.reap()

    assert [each.closed for each in pool.started] == [True, False]


def test_closes_idle_environments_at_once_and_busy_ones_when_they_come_back(pool: Pool) -> None:
    pool.use("1")
    with pool.pool.environment(version("2")):
        pool.pool.close()
        assert [each.closed for each in pool.started] == [True, False]

    assert [each.closed for each in pool.started] == [True, True]


class Fixed:
    """A source of one number."""

    def __init__(self, number: float) -> None:
        self._number = number

    def random(self) -> float:
        return self._number


@pytest.mark.parametrize(
    ("drawn", "number"), [(0.0, "2"), (0.0999, "2"), (0.1, "1"), (0.9999, "1")]
)
def test_the_drawn_number_decides_which_version_serves(drawn: float, number: str) -> None:
    alias = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}}
    function = {"aliases": {"live": alias}, "versions": {"1": {"n": "1"}, "2": {"n": "2"}}}

    assert pick(function, "live", Fixed(drawn)) == {"n": number}


def packed(path: str, text: str, mode: int = 0o644) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo(path)
        entry.external_attr = mode << 16
        archive.writestr(entry, text)
    return content.getvalue()


def test_unpacks_a_package_once_with_its_permissions(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    folder = store.unpack(packed("bin/tool", "#!/bin/sh", 0o755))
    (folder / "mark").touch()

    assert store.unpack(packed("bin/tool", "#!/bin/sh", 0o755)) == folder
    assert (folder / "mark").exists()
    assert (folder / "bin/tool").stat().st_mode & 0o777 == 0o755


def test_says_when_a_package_is_no_zip_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidPackageError, match="unzip"):
        PackageStore(tmp_path).unpack(b"no zip")

    assert list(tmp_path.iterdir()) == []


def test_starts_again_from_the_folder_of_an_earlier_run(tmp_path: Path) -> None:
    for _ in range(2):
        RuntimeFactory(tmp_path, lambda account, region: {}).close()

    assert (tmp_path / "runtime" / "boto3").is_dir()


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[RuntimeFactory]:
    factory = RuntimeFactory(tmp_path, lambda account, region: {})
    yield factory
    factory.close()


def test_says_where_functions_run(factory: RuntimeFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(UnsupportedPlatformError, match="on Linux only, this is darwin"):
        factory.environment(version("1"))


def test_variables_are_text_whatever_a_template_writes() -> None:
    variables = {"CALLS": 50, "SHARE": 0.5, "STRICT": True, "NAME": "on"}
    found = version("1", Environment={"Variables": variables})
    expected = {"CALLS": "50", "SHARE": "0.5", "STRICT": "true", "NAME": "on"}
    assert dict(found.variables) == expected
