"""`make test-speeds` runs at every speed, and passes only when each of them did."""

import os
from collections.abc import Sequence

import pytest

from tools.run_speeds import SPEEDS, Speed, main, run


class Runs:
    """Stands in for pytest at each speed."""

    def __init__(self, **failing: int) -> None:
        self.failing = failing
        self.speeds: list[Speed] = []

    def __call__(self, speed: Speed, more: Sequence[str]) -> int:
        self.speeds.append(speed)
        return self.failing.get(f"at_{len(self.speeds)}", 0)


def test_passes_when_every_speed_did(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs()
    assert main([], runs) == 0
    assert tuple(runs.speeds) == SPEEDS
    assert {speed.factor for speed in SPEEDS} == {"0", "1", "10"}
    assert sum(speed.one_busy_core for speed in SPEEDS) == 1
    assert capsys.readouterr().out.count("passed (") == 4


def test_one_that_fails_fails_them_all_and_the_others_run_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = Runs(at_2=1)
    assert main([], runs) == 1
    assert len(runs.speeds) == 4
    assert "as it is                       failed, exit status 1" in capsys.readouterr().out


def test_the_busy_core_is_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    cores = os.sched_getaffinity(0)
    assert run(SPEEDS[-1], ["--version"]) == 0
    assert "pytest" in "".join(capfd.readouterr())
    assert os.sched_getaffinity(0) == cores
