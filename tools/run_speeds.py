"""Run the tests that touch time at several speeds: each has to pass at every one of them.

The embedded AWS's own delays are none, as they are, and ten times as long; and once more all runs
on one core that a busy loop shares.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

DELAYS: Final = "TIDEGATE_LOCAL_DELAYS"
_TESTS: Final = [sys.executable, "-m", "pytest", "-m", "timed", "--timeout", "1800"]
_BUSY: Final = [sys.executable, "-c", "while True: pass"]


@dataclass(frozen=True)
class Speed:
    """One way to run the tests; ``factor`` is for the embedded AWS's own delays."""

    name: str
    factor: str = "1"
    one_busy_core: bool = False

    def command(self, more: Sequence[str]) -> list[str]:
        """How pytest is started."""
        workers = [] if self.one_busy_core else ["--numprocesses", "2"]
        return [*_TESTS, *workers, *more]


SPEEDS: Final = (
    Speed("no delays", "0"),
    Speed("as it is"),
    Speed("ten times the delays", "10"),
    Speed("one core beside a busy loop", one_busy_core=True),
)

Run = Callable[[Speed, Sequence[str]], int]


def run(speed: Speed, more: Sequence[str]) -> int:
    """Run the tests at this speed; gives pytest's exit status."""
    environment = {**os.environ, DELAYS: speed.factor}
    command = speed.command(more)
    if not speed.one_busy_core:
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # children inherit it
    try:
        with subprocess.Popen(_BUSY) as busy:  # noqa: S603
            try:
                return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
            finally:
                busy.kill()
    finally:
        os.sched_setaffinity(0, cores)


def main(arguments: Sequence[str], run: Run = run) -> int:
    """Run at every speed, whatever the others came to; 1 when one did not pass."""
    lines, failed = [], False
    for speed in SPEEDS:
        sys.stdout.write(f"\n== {speed.name}\n")
        sys.stdout.flush()
        begun = time.monotonic()
        status = run(speed, arguments)
        failed |= status != 0
        outcome = f"failed, exit status {status}" if status else "passed"
        lines.append(f"{speed.name:30} {outcome} ({time.monotonic() - begun:,.0f} s)")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
