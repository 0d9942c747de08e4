"""The fault campaign: ``python -m faults.campaign`` tries everything and prints what became of it.

``--replay`` repeats one run by its name, as the table of broken ones prints it:
``--replay "unhealthy 117:late:20 118:raises:ServiceRefused"`` or
``--replay two-releases/canary/33``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from multiprocessing import Pool

from faults.races import RACES, race
from faults.runs import End, Report, Run, perform, several, singles
from faults.scenarios import SCENARIOS
from tidegate.testing.faults import Fault

_HEADINGS = ("tried", *End)


def play(run: Run) -> Report:
    """Repeat a run: a scenario with faults, or a race by its name and seed."""
    if "/" not in run.scenario:
        return perform(run)
    name, _, seed = run.scenario.rpartition("/")
    return race(name, int(seed))


def read_run(text: str) -> Run:
    """The run of this name. Raises ``ValueError``."""
    scenario, *faults = text.split()
    return Run(scenario, tuple(map(Fault.parse, faults)))


def plan(*, ways: int, several_each: int, races_each: int, seed: int) -> list[Run]:
    """One fault at every call of every scenario, pairs and triples of them, and races."""
    runs: list[Run] = []
    for scenario in SCENARIOS:
        runs += singles(scenario, ways, seed)
        runs += several(scenario, several_each, seed)
    runs += (Run(f"{name}/{seed + at}") for name in RACES for at in range(races_each))
    return runs


def table(reports: Iterable[Report]) -> str:
    """What became of the runs, by the way of their faults, and in all."""
    counts: dict[str, Counter[str]] = {}
    for one in reports:
        for row in (_row(one.run), "all"):
            counts.setdefault(row, Counter()).update(["tried", one.end])
    wide = max(map(len, counts))
    lines = [f"{'':{wide}}  {'  '.join(f'{heading:>17}' for heading in _HEADINGS)}"]
    for row in sorted(counts, key=lambda row: (row == "all", row)):
        numbers = "  ".join(f"{counts[row][heading]:>17,}" for heading in _HEADINGS)
        lines.append(f"{row:{wide}}  {numbers}")
    return "\n".join(lines)


def stuck_by_cause(reports: Iterable[Report]) -> str:
    """Why the stuck ones needed a person."""
    counts = Counter(one.run.needs_a_person for one in reports if one.end is End.STUCK)
    return "\n".join(f"{number:>9,} stuck: {why}" for why, number in counts.most_common())


def _row(run: Run) -> str:
    if "/" in run.scenario:
        return f"race: {run.scenario.partition('/')[0]}"
    if len(run.faults) > 1:
        return f"{len(run.faults)} faults"
    fault = run.faults[0]
    if fault.lasts:
        passes = "for good" if math.isinf(fault.lasts) else f"for {fault.lasts:.0f} s"
    else:
        passes = f"by {fault.much} calls" if fault.much else "once"
    return " ".join(filter(None, (fault.way, fault.error, passes)))


def main(arguments: Sequence[str]) -> int:
    """Run it. Returns 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(prog="faults.campaign", description="The fault campaign.")
    parser.add_argument("--ways", type=int, default=4, help="faults tried at each call; 0: all")
    parser.add_argument("--several", type=int, default=200, help="pairs and triples of each")
    parser.add_argument("--races", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--replay", type=read_run, help="one run by its name")
    given = parser.parse_args(arguments)
    if given.replay:
        reports = [play(given.replay)]
    else:
        began = time.monotonic()
        runs = plan(
            ways=given.ways,
            several_each=given.several,
            races_each=given.races,
            seed=given.seed,
        )
        with Pool(given.processes) as pool:
            reports = pool.map(play, runs, chunksize=50)
        sys.stdout.write(
            f"{table(reports)}\n\n{stuck_by_cause(reports)}\n\n{time.monotonic() - began:,.0f} s\n"
        )
    broken = [one for one in reports if one.end is End.BROKEN]
    for one in broken if not given.replay else reports:
        said = chain(one.broken, (f"happened: {what}" for what in one.happened))
        sys.stdout.write(f"{one.run}: {one.phase}, {one.end}\n" + "".join(f"  {s}\n" for s in said))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
