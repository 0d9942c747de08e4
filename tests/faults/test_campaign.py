"""The fault campaign in short: a seeded part of what ``make faults`` tries."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from faults.campaign import play, read_run, stuck_by_cause, table
from faults.invariants import Witness
from faults.races import RACES
from faults.runs import End, Run, perform, release, report, sample, several, singles
from faults.scenarios import SCENARIOS
from support.story import PROD
from tidegate.core.ports import Ports, TargetPorts
from tidegate.testing.faults import RAISES, Faults

SINGLES, SEVERAL, SEEDS = 5, 3, 2


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_invariant_holds_through_faults(scenario: str) -> None:
    runs = [
        Run(scenario),
        *sample(singles(scenario, 1), SINGLES, seed=1),
        *several(scenario, SEVERAL, seed=1),
    ]
    broken = [report for report in map(perform, runs) if report.end is End.BROKEN]
    assert not broken, table(broken)


@pytest.mark.parametrize("name", RACES)
def test_every_invariant_holds_when_several_act_at_once(name: str) -> None:
    broken = [
        report
        for report in (play(Run(f"{name}/{seed}")) for seed in range(SEEDS))
        if report.end is End.BROKEN
    ]
    assert not broken, table(broken)


def test_what_passes_within_ten_minutes_calls_nobody() -> None:
    needs = {
        "good 9:throttled:600": "",
        "good 9:late:20 10:killed-after 11:stopped": "",
        "good 9:throttled:600 11:slow:600": "several faults last for more than ten minutes",
        "good 9:denied": "a call is denied until somebody permits it",
        "stack-breaks-while-split": "CloudFormation could not take the stack back",
        "two-releases/canary/33": "",
    }
    assert {name: read_run(name).needs_a_person for name in needs} == needs
    reports = [perform(Run("stack-breaks-while-split")), perform(Run("good"))]
    assert [one.end for one in reports] == [End.STUCK, End.CONVERGED]
    assert stuck_by_cause(reports).split() == (
        ["1", "stuck:", "CloudFormation", "could", "not", "take", "the", "stack", "back"]
    )


def test_a_person_who_is_called_for_nothing_breaks_the_campaign() -> None:
    story = SCENARIOS["stack-breaks-while-split"].story()
    witness = Witness(story, [PROD])
    phase = release(story, "two")
    called = report(Run("good"), story, witness, Faults(), phase)
    assert (called.end, called.broken) == (
        End.BROKEN,
        ("a person is called for what passes within ten minutes",),
    )


def test_a_run_is_known_by_its_name() -> None:
    name = "unhealthy 117:late:20 118:raises:ServiceRefused 119:killed-after"
    assert str(read_run(name)) == name


def test_the_campaign_makes_every_call_that_a_port_has() -> None:
    made = {name for scenario in SCENARIOS for name in perform(Run(scenario)).calls}
    elsewhere = {
        *("executions.start", "ledger.delete"),  # races
        "metrics.series",  # only for metrics that a manifest names
        "signals.requests",  # doctor
        "topics.publish",  # notifications: test_notify_story lets each of their calls go wrong
        *("versions.delete", "versions.in_use", "versions.published"),  # prune, what is left over
    }
    assert RAISES.keys() - made == elsewhere


def test_every_method_of_every_port_is_one_that_a_fault_can_befall() -> None:
    without_faults = {
        "clock",
        "evaluation_seconds",
        "targets",
    }  # opening a target is a call of its own
    methods = {"targets.open"}
    for ports in (Ports, TargetPorts):
        for name, protocol in get_type_hints(ports).items():
            if name not in without_faults:
                methods |= {f"{name}.{method}" for method in vars(protocol) if method[0] != "_"}
    assert RAISES.keys() == methods
