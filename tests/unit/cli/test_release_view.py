"""How the record is arranged for people."""

from __future__ import annotations

import pytest
import shop

from tidegate.core.insight.history import history
from tidegate.core.insight.release_view import error_rate, release_view
from tidegate.core.insight.views import ReleaseView, Severity
from tidegate.core.model.record import (
    Decision,
    Item,
    OperatorRequest,
    Outcome,
    ReleasePhase,
    RolloutPhase,
    StagePhase,
)


def view(
    items: list[Item], *, minutes: float = 9, phase: ReleasePhase = ReleasePhase.PROGRESSING
) -> ReleaseView:
    return release_view(shop.release(phase), items, shop.at(minutes))


def test_shows_all_tests_as_running_until_their_results_are_in() -> None:
    testing = view([shop.plan()], phase=ReleasePhase.TESTING)
    assert {test.severity for test in testing.tests} == {Severity.RUNNING}


def test_shows_planned_tests_and_stages_before_they_begin() -> None:
    planned = view([shop.plan()], phase=ReleasePhase.QUEUED)
    assert [(test.name, test.severity) for test in planned.tests] == [
        ("unit", Severity.PENDING),
        ("scan", Severity.PENDING),
    ]
    assert [(stage.name, stage.severity, stage.phase) for stage in planned.stages] == [
        ("test", Severity.PENDING, None),
        ("prod", Severity.PENDING, None),
    ]
    assert planned.stages[1].rollouts[0].severity is Severity.PENDING


def test_shows_a_release_whose_plan_is_not_there_yet() -> None:
    bare = view([], phase=ReleasePhase.QUEUED)
    assert (bare.tests, bare.stages, bare.severity) == ((), (), Severity.PENDING)


def test_says_of_what_will_not_begin_any_more_that_it_is_skipped() -> None:
    items = [shop.plan(), *shop.results(scan=Outcome.FAILED)]
    failed = view(items, phase=ReleasePhase.FAILED)
    assert [test.severity for test in failed.tests] == [Severity.GOOD, Severity.BAD]
    assert {stage.severity for stage in failed.stages} == {Severity.SKIPPED}
    assert failed.stages[0].rollouts[0].severity is Severity.SKIPPED


def test_skips_a_target_of_a_stage_that_ended_without_it() -> None:
    items = [shop.plan(), shop.stage("test", StagePhase.SUCCEEDED, ended=2)]
    assert view(items).stages[0].rollouts[0].severity is Severity.SKIPPED


def test_waits_for_people_while_an_approval_is_pending() -> None:
    asking = view(shop.asking())
    assert asking.severity is Severity.WAITING
    assert [stage.name for stage in asking.awaiting] == ["prod"]
    prod = asking.stages[1]
    assert prod.approval is not None
    assert (prod.approval.decision, prod.approval.agreed) == (Decision.PENDING, ())
    assert [change.logical_id for change in prod.rollouts[0].changes] == ["Orders", "Table"]


def test_moves_again_once_people_have_decided() -> None:
    decided = [
        *shop.tested(),
        shop.stage("prod", StagePhase.AWAITING_APPROVAL, started=3),
        shop.approval(Decision.APPROVED, votes=[shop.yes()]),
    ]
    moving = view(decided)
    assert (moving.severity, moving.awaiting) == (Severity.RUNNING, ())
    assert moving.stages[1].approval is not None
    assert moving.stages[1].approval.agreed == (shop.ANA,)


def test_waits_while_the_request_for_an_approval_is_on_its_way() -> None:
    items = [*shop.tested(), shop.stage("prod", StagePhase.AWAITING_APPROVAL, started=3)]
    assert view(items).awaiting[0].approval is None


def test_knows_the_step_and_what_comes_next_and_when() -> None:
    prod = view(shop.shifting()).stages[1].rollouts[0]
    assert (prod.step, prod.steps, prod.weight) == (1, 2, 0.1)
    assert (prod.next_weight, prod.next_at) == (0.5, shop.at(13))
    assert (prod.samples, prod.samples_needed) == (14, 50)
    assert [hook.function for hook in prod.hooks] == ["Smoke"]


def test_promotes_after_the_last_step() -> None:
    last = shop.rollout(step=1, weight=0.5)
    assert view([*shop.tested(), last]).stages[1].rollouts[0].next_weight == 1.0


@pytest.mark.parametrize(
    "rollout",
    [
        shop.rollout(phase=RolloutPhase.DEPLOYING, step=-1, step_started=None),
        shop.rollout(step=-1, step_started=8),
        shop.rollout(step=2, step_started=8),
        shop.rollout(step=0, step_started=None),
        shop.rollout(phase=RolloutPhase.RESTORING, step=0),
    ],
    ids=["deploying", "before the first step", "past the last", "no start", "restoring"],
)
def test_promises_no_next_step_when_there_is_none(rollout: shop.Rollout) -> None:
    shown = view([*shop.tested(), rollout]).stages[1].rollouts[0]
    assert (shown.next_weight, shown.next_at) == (None, None)
    assert shown.step <= shown.steps


def test_a_stuck_rollout_makes_its_stage_a_matter_for_people() -> None:
    stuck = shop.rollout(phase=RolloutPhase.STUCK, error="RestoreFailed", cause="AccessDenied")
    items = [*shop.tested(), shop.stage("prod", StagePhase.FAILED, started=3), stuck]
    shown = view(items, phase=ReleasePhase.STUCK)
    assert (shown.severity, shown.stages[1].severity) == (Severity.ALERT, Severity.ALERT)
    assert shown.stages[1].rollouts[0].error == "RestoreFailed"


def test_says_who_asked_to_abort_until_the_release_is_over() -> None:
    request = OperatorRequest(
        release_id="shop-7", verb="abort", who="ana", reason="prices", at=shop.at(9)
    )
    assert view([*shop.shifting(), request]).abort_wanted_by == "ana"
    ended = view([*shop.restored(), request], phase=ReleasePhase.ABORTED)
    assert ended.abort_wanted_by == ""


def test_history_tells_from_when_to_when_a_release_was_live() -> None:
    releases = [shop.release(ReleasePhase.SUCCEEDED, number=n, started=n) for n in (5, 6)]
    details = {
        "shop-5": [
            shop.rollout("prod", RolloutPhase.SUCCEEDED, started=5, ended=50, release_id="shop-5"),
            shop.approval(Decision.APPROVED, votes=[shop.yes()], release_id="shop-5"),
        ],
        "shop-6": [
            shop.rollout("prod", RolloutPhase.SUCCEEDED, started=6, ended=60, release_id="shop-6"),
        ],
    }
    newest, oldest = history(releases, details)
    assert (newest.id, oldest.id) == ("shop-6", "shop-5")
    assert [(s.since, s.until) for s in newest.live] == [(shop.at(60), None)]
    assert [(s.since, s.until) for s in oldest.live] == [(shop.at(50), shop.at(60))]
    assert [d.votes[0].who for d in oldest.decisions] == [shop.ANA]


def test_history_of_a_release_that_prod_took_back_ends_with_the_stage_before() -> None:
    release = shop.release(ReleasePhase.FAILED, error="Unhealthy", cause="errors", ended=10)
    (entry,) = history([release], {"shop-7": shop.restored()})
    assert [span.stage for span in entry.live] == ["test"]
    assert (entry.error, entry.cause) == ("Unhealthy", "errors")


def test_history_knows_a_release_without_details() -> None:
    (entry,) = history([shop.release(ReleasePhase.QUEUED)], {})
    assert (entry.live, entry.decisions) == ((), ())


def test_no_requests_have_no_error_rate() -> None:
    assert error_rate(0, 0) is None
    assert error_rate(104, 26) == 0.25
