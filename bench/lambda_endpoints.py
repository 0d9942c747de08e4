"""Measures the Lambda endpoints of this machine, both in one run, into docs/bench.md.

`sam local start-lambda` is measured when a container engine answers (or run by
`tests/integration/engine/run`), and said to be missing when not.
"""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.sections import put_section
from tidegate_embedded.endpoint.engine import NoEngineError
from tidegate_embedded.endpoint.start import Choice, Endpoint, Kind, choose, running

HERE = Path(__file__).parent
REPORT = HERE.parent / "docs" / "bench.md"
PARAMETERS = {"PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}"}
PAYLOAD = b'{"name": "Ada"}'
COLD_STARTS = 5
WARM_INVOCATIONS = 300
CALLERS = 8
LOAD_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one endpoint; times are in milliseconds."""

    ready: float
    first: float
    warm_p50: float
    warm_p95: float
    per_second: float
    failed: int
    left_processes: int


ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("endpoint ready after its start", lambda figures: f"{figures.ready:,.0f} ms"),
    ("first invocation of a function, median", lambda figures: f"{figures.first:,.0f} ms"),
    ("warm invocation, p50", lambda figures: f"{figures.warm_p50:.1f} ms"),
    ("warm invocation, p95", lambda figures: f"{figures.warm_p95:.1f} ms"),
    (f"invocations per second, {CALLERS} callers", lambda figures: f"{figures.per_second:,.0f}"),
    ("failed invocations", lambda figures: str(figures.failed)),
    ("processes left after the stop", lambda figures: str(figures.left_processes)),
)


def main() -> None:
    """Build, measure, print, write."""
    columns: dict[str, Figures | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        build_dir = Path(folder)
        sam_build(build_dir)
        columns["container-free"] = measure(Choice(Kind.LOCAL, "to measure it"), build_dir)
        try:
            columns["`sam local`, warm containers"] = measure(choose(Kind.SAM), build_dir)
        except NoEngineError as error:
            print(f"sam local is not measured: {error}", file=sys.stderr)
            columns["`sam local`, warm containers"] = "no container engine"
    table = "\n".join(render(columns))
    print(table)
    put_section(REPORT, "Lambda endpoints", f"{INTRODUCTION}\n{machine()}\n\n{table}")


def measure(choice: Choice, build_dir: Path) -> Figures:
    """Start the endpoint, measure it, stop it."""
    begun = time.perf_counter()
    with running(choice, build_dir, PARAMETERS) as endpoint:
        ready = elapsed_ms(begun)
        client = endpoint.client()
        first = [invoke(client, f"Function{number}") for number in range(COLD_STARTS)]
        warm = [invoke(client, "Function0") for _ in range(WARM_INVOCATIONS)]
        count, failed = load(endpoint.client)
        assert processes_of(endpoint) > 0
    return Figures(
        ready=ready,
        first=statistics.median(first),
        warm_p50=statistics.median(warm),
        warm_p95=statistics.quantiles(warm, n=20)[-1],
        per_second=count / LOAD_SECONDS,
        failed=failed,
        left_processes=processes_of(endpoint),
    )


def invoke(client: Any, function: str) -> float:
    """How long an invocation takes its caller."""
    begun = time.perf_counter()
    reply = client.invoke(FunctionName=function, Payload=PAYLOAD)
    assert reply["Payload"].read() == PAYLOAD
    return elapsed_ms(begun)


def load(new_client: Callable[[], Any]) -> tuple[int, int]:
    """How many invocations succeed and fail while all callers invoke one after the other."""
    clients = [new_client() for _ in range(CALLERS)]
    for client in clients:
        invoke(client, "Function0")
    succeeded, failed = [0] * CALLERS, [0] * CALLERS
    until = time.monotonic() + LOAD_SECONDS

    def call(caller: int) -> None:
        while time.monotonic() < until:
            try:
                invoke(clients[caller], "Function0")
                succeeded[caller] += 1
            except Exception:
                failed[caller] += 1

    callers = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return sum(succeeded), sum(failed)


def processes_of(endpoint: Endpoint) -> int:
    """How many processes run functions of the endpoint: it is in the variables of each."""
    url = endpoint.url.encode()
    found = 0
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended, or is not ours to look at
            found += url in environment.read_bytes()
    return found


def sam_build(build_dir: Path) -> None:
    """Build the functions that are measured."""
    command = [
        Path(sys.executable).with_name("sam"),
        "build",
        "--template",
        HERE / "endpoints" / "template.yaml",
    ]
    command += ["--build-dir", build_dir, "--parameter-overrides"]
    command += [f"{name}={value}" for name, value in PARAMETERS.items()]
    variables = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    subprocess.run(command, env=variables, capture_output=True, check=True)


def render(columns: dict[str, Figures | str]) -> Iterator[str]:
    """The table."""
    yield f"| | {' | '.join(columns)} |"
    yield f"| --- |{' ---: |' * len(columns)}"
    for title, show in ROWS:
        cells = [show(one) if isinstance(one, Figures) else one for one in columns.values()]
        yield f"| {title} | {' | '.join(cells)} |"


def machine() -> str:
    """Where this was measured."""
    busy = os.getloadavg()[0]
    return (
        f"Measured on {os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}; load average {busy:.1f} at the end, its own included."
    )


def elapsed_ms(begun: float) -> float:
    """Milliseconds since a reading of the performance counter."""
    return (time.perf_counter() - begun) * 1000


INTRODUCTION = f"""\
A function that returns its event, invoked with boto3. One machine runs the caller, the endpoint and
the functions. "Warm" is what the caller waits in {WARM_INVOCATIONS} invocations, one after another;
the load is {CALLERS} callers for {LOAD_SECONDS:.0f} s. `sam local` keeps warm containers.
"""


if __name__ == "__main__":
    main()
