"""Measures the analysis and writes docs/analysis.md: ``make bench-analysis``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import fmean
from time import perf_counter

from bench import codedeploy, false_alarms, speed
from bench.ours import Run, run
from bench.traffic import CELLS, HORIZON_MINUTES, Cell

PAGE = Path(__file__).with_name("page.md")
COMMAND = "make bench-analysis"
SEED = 20_260_101
HEALTHY = tuple(Cell(r, p, p, "none") for r, p in false_alarms.TRAFFIC)
MOST_FALSE = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything; the exit code says whether every figure is within its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000, help="runs of each cell")
    parser.add_argument("--output", type=Path, required=True, help="the page to write")
    options = parser.parse_args(arguments)
    begun = perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        harm = list(_harm(pool, options.runs))
        healthy, most_promoting = _healthy(pool, options.runs)
        false, most_false = _false(pool, options.runs)
    judged = speed.seconds()
    page = PAGE.read_text(encoding="utf-8").format(
        command=COMMAND,
        runs=f"{options.runs:,}",
        horizon=HORIZON_MINUTES,
        harm="\n".join(harm),
        healthy="\n".join(healthy),
        false="\n".join(false),
        judged=f"{judged * 1000:.0f}",
        seconds=round(perf_counter() - begun),
    )
    options.output.write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    within = max(most_false, most_promoting) <= MOST_FALSE and judged < speed.MOST_SECONDS
    return 0 if within else 1


def _harm(pool: Executor, runs: int) -> Iterator[str]:
    """Users harmed by a fault: ours, and CodeDeploy's best variants."""
    for number, cell in enumerate(CELLS):
        ours = _runs(pool, cell, runs, number)
        fixed, known = pool.map(
            partial(_codedeploy, cell, runs, number), (codedeploy.FIXED, codedeploy.KNOWN)
        )
        harmed = fmean(one.harmed for one in ours)
        caught = [one.restored_after for one in ours if one.restored_after is not None]
        delay = f"{fmean(caught):.1f} min" if caught else "-"
        yield _row(
            f"{cell.requests_per_second:g}", f"{cell.stable_rate * 100:g} %", cell.name,
            f"**{harmed:.1f}**", f"{len(caught) / runs * 100:.1f} %", delay,
            f"{fixed.harmed:.1f} ({fixed.harmed / harmed:.1f}x)",
            f"{known.harmed:.1f} ({known.harmed / harmed:.1f}x)", known.variant,
        )  # fmt: skip


def _healthy(pool: Executor, runs: int) -> tuple[list[str], float]:
    """What the caution costs a good release."""
    rows, shares = [], []
    for number, cell in enumerate(HEALTHY, start=len(CELLS)):
        found = _runs(pool, cell, runs, number)
        false = sum(one.restored_after is not None for one in found) / runs
        promoted = sorted(one.promoted_after for one in found if one.promoted_after is not None)
        shares.append(false)
        rows.append(_row(
            f"{cell.requests_per_second:g}", f"{cell.stable_rate * 100:g} %",
            f"{false * 100:.2f} %", f"{len(promoted) / runs * 100:.1f} %",
            f"{fmean(promoted):.0f} min" if promoted else "-",
            f"{promoted[len(promoted) * 9 // 10]} min" if promoted else "-",
        ))  # fmt: skip
    return rows, max(shares)


def _false(pool: Executor, runs: int) -> tuple[list[str], float]:
    """False alarms with an evaluation a minute for four hours."""
    rows, shares = [], []
    for requests, rate in false_alarms.TRAFFIC:
        for climate in false_alarms.CLIMATES:
            measure = partial(_false_share, requests, rate, climate, runs)
            grows, tenth = pool.map(measure, (True, False))
            shares += [grows, tenth]
            rows.append(
                _row(
                    f"{requests:g}", f"{rate * 100:g} %", climate,
                    f"{grows * 100:.2f} %", f"{tenth * 100:.2f} %",
                )
            )  # fmt: skip
    return rows, max(shares)


def _runs(pool: Executor, cell: Cell, runs: int, number: int) -> list[Run]:
    first = SEED + number * 1_000_000
    return list(pool.map(partial(run, cell), range(first, first + runs), chunksize=50))


def _codedeploy(cell: Cell, runs: int, number: int, family: codedeploy.Family) -> codedeploy.Result:
    return codedeploy.best(cell, runs, SEED + number, family)


def _false_share(requests: float, rate: float, climate: str, runs: int, grows: bool) -> float:
    seed = SEED + false_alarms.CLIMATES.index(climate)
    return false_alarms.share(requests, rate, climate, runs, seed, grows=grows)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
