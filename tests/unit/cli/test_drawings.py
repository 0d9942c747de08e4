"""What a person sees: drawings at a fixed width, in the moments that matter."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO

import pytest
import shop
from rich.console import Console, RenderableType

from tidegate.cli import text
from tidegate.cli.planview import draw_plan
from tidegate.cli.tree import next_words
from tidegate.cli.view import draw_history, draw_release, draw_releases
from tidegate.core.insight.history import history
from tidegate.core.insight.release_view import release_view
from tidegate.core.insight.views import ReleaseView
from tidegate.core.model.plan import (
    ApprovalPlan,
    HookPlan,
    ManagedAlias,
    NotificationPlan,
    Provisioned,
    Trigger,
)
from tidegate.core.model.record import (
    Decision,
    Item,
    Notification,
    OperatorRequest,
    Outcome,
    ReleasePhase,
    Restored,
    RolloutPhase,
    StagePhase,
    Verdict,
)


def drawn(renderable: RenderableType, width: int = 100) -> str:
    """The text, without the space at the ends of lines."""
    console = Console(file=StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip()


def seen(
    items: list[Item],
    *,
    minutes: float = 9.3,
    phase: ReleasePhase = ReleasePhase.PROGRESSING,
    error: str = "",
    cause: str = "",
) -> ReleaseView:
    ended = minutes if phase.over else None
    release = shop.release(phase, error=error, cause=cause, ended=ended)
    return release_view(release, items, shop.at(minutes))


SHIFTING = """\
shop-7  ◌ progressing in prod  9m18s
0000007  Add coupons  by maria  on main
tests  ✔ unit 12s   ✔ scan 8.2s
next   333333333333/eu-west-1: 50 % in 3m42s

NAME                       STATUS                AGE  INFO
test                       ✔ succeeded         1m00s  all-at-once
└─ 222222222222/eu-west-1  ✔ succeeded         1m00s  stack shop-test
   └─ λ Orders:live        ✔ ██████████ 100 %         version 4
prod                       ◌ rolling-out       6m18s  canary
├─ approval                ✔ approved                 ana (Admin, 333333333333)
└─ 333333333333/eu-west-1  ◌ shifting          3m18s  step 1/2  50 % in 3m42s
   ├─ pre-traffic Smoke    ✔ passed 0.4s
   ├─ λ Orders:live        ◌ █░░░░░░░░░ 10 %          version 3 → 4
   └─ health               ◌ undecided                candidate 0/14 errors, stable 0/120 errors"""

ORDERS = "shop-prod-Orders-1A2B3C4D5E6F"
NARROW = """\
shop-7  ◌ progressing in prod  9m18s
0000007  Add coupons  by maria  on main
tests  ✔ unit 12s   ✔ scan 8.2s
next   333333333333/eu-west-1: 50 % in 3m42s

test                       ✔ succeeded  1m00s
│  all-at-once
└─ 222222222222/eu-west-1  ✔ succeeded  1m00s
   │  stack shop-test
   └─ λ Orders:live        ✔ ██████████ 100 %
         version 4
prod                       ◌ rolling-out  6m18s
│  canary
├─ approval                ✔ approved
│     ana (Admin, 333333333333)
└─ 333333333333/eu-west-1  ◌ shifting  3m18s
   │  step 1/2  50 % in 3m42s
   ├─ pre-traffic Smoke    ✔ passed 0.4s
   ├─ λ Orders:live        ◌ █░░░░░░░░░ 10 %
   │     version 3 → 4
   └─ health               ◌ undecided
         candidate 0/14 errors, stable 0/120 errors"""

ASKING = """\
shop-7  ◷ awaiting approval  4m00s
0000007  Add coupons  by maria  on main
tests  ✔ unit 12s   ✔ scan 8.2s
next   1 person has to decide within 59m00s: tidegate approve shop-7 --stage prod

NAME                       STATUS                     AGE  INFO
test                       ✔ succeeded              1m00s  all-at-once
└─ 222222222222/eu-west-1  ✔ succeeded              1m00s  stack shop-test
   └─ λ Orders:live        ✔ ██████████ 100 %              version 4
prod                       ◷ awaiting-approval      1m00s  canary
├─ approval                ◷ pending 0 of 1         1m00s
└─ 333333333333/eu-west-1  ○ not begun                     stack shop-prod
   ├─ Orders               ○ modify                        AWS::Lambda::Function .Code
   └─ Table                ⚠ replace, irreversible         AWS::DynamoDB::Table: a new, empty one
                                                           takes its place"""


def test_draws_a_shift_under_way() -> None:
    assert drawn(draw_release(seen(shop.shifting()))) == SHIFTING


def test_draws_names_above_what_is_said_of_them_where_there_is_no_room() -> None:
    narrow = drawn(draw_release(seen(shop.shifting())), width=60)
    assert narrow == NARROW


@pytest.mark.parametrize("width", [60, 80, 99, 100, 140])
@pytest.mark.parametrize("items", [shop.shifting(), shop.asking(), shop.restored()])
def test_a_narrow_terminal_shows_every_word_of_a_wide_one(items: list[Item], width: int) -> None:
    drawing = draw_release(seen(items))
    words = {*re.findall(r"\w+", drawn(drawing, width=300))} - {"NAME", "STATUS", "AGE", "INFO"}
    assert words <= {*re.findall(r"\w+", drawn(drawing, width=width))}


def test_draws_what_is_to_be_approved_and_the_command_to_type() -> None:
    assert drawn(draw_release(seen(shop.asking(), minutes=4))) == ASKING


def test_draws_why_a_release_was_taken_back_with_the_numbers() -> None:
    items = shop.restored()
    picture = drawn(
        draw_release(
            seen(items, phase=ReleasePhase.FAILED, error="Unhealthy", cause="too many errors")
        )
    )
    assert "why    Unhealthy: too many errors" in picture
    assert "candidate fails 21 of 104 (20.2 %)" in picture
    assert "version 4 out, 3 serves" in picture
    assert "next " not in picture


def test_draws_which_test_failed_and_why() -> None:
    items = [shop.plan(), *shop.results(scan=Outcome.FAILED)]
    picture = drawn(draw_release(seen(items, phase=ReleasePhase.FAILED, error="TestsFailed")))
    assert "✖ scan 8.2s\n       scan: exit status 1" in picture
    assert "• not reached" in picture


def test_draws_a_first_deployment_and_a_hook_that_failed() -> None:
    first = shop.rollout(phase=RolloutPhase.VALIDATING, step=-1, weight=0, first_deployment=True)
    items = [*shop.tested(), shop.stage("prod", StagePhase.ROLLING_OUT), first]
    picture = drawn(draw_release(seen([*items, shop.hook(Outcome.FAILED, cause="status 500")])))
    assert "first deployment" in picture
    assert re.search(r"pre-traffic Smoke +✖ failed 0.4s +status 500", picture)


def test_draws_what_a_hook_that_answers_later_shows_of_itself() -> None:
    rollout = shop.rollout(phase=RolloutPhase.VALIDATING, step=-1, weight=0)
    waiting = shop.hook(Outcome.WAITING).model_copy(
        update={
            "heard_at": shop.at(4) - timedelta(seconds=12),
            "deadline": shop.at(4) + timedelta(hours=5, minutes=48),
        }
    )
    items = [*shop.tested(), shop.stage("prod", StagePhase.ROLLING_OUT), rollout, waiting]
    picture = drawn(draw_release(seen(items, minutes=4)))
    said = r"pre-traffic Smoke +◌ waiting for its answer +last heartbeat 12s ago, 5h48m left"
    assert re.search(said, picture)
    over = rollout.model_copy(update={"phase": RolloutPhase.RESTORED})
    items = [*items[:-2], over, waiting]
    assert "waiting for its answer" not in drawn(draw_release(seen(items, minutes=4)))


def test_draws_why_steps_were_skipped() -> None:
    rollout = shop.rollout(all_at_once="the role changed")
    items = [*shop.tested(), shop.stage("prod", StagePhase.ROLLING_OUT), rollout]
    assert "all at once: the role changed" in drawn(draw_release(seen(items)))


def test_draws_who_refused_and_why() -> None:
    refused = [
        *shop.tested(),
        shop.stage("prod", StagePhase.FAILED, started=3, ended=5, error="ApprovalRejected"),
        shop.approval(Decision.REJECTED, votes=[shop.no("not before the sale")]),
    ]
    picture = drawn(draw_release(seen(refused, phase=ReleasePhase.REJECTED)))
    assert "✖ rejected" in picture
    assert "refused by ana" in picture
    assert "before the sale" in picture


def test_draws_who_asked_to_abort() -> None:
    request = OperatorRequest(
        release_id="shop-7", verb="abort", who=shop.ANA, reason="x", at=shop.at(9)
    )
    picture = drawn(draw_release(seen([*shop.shifting(), request])))
    assert "abort  asked by ana (Admin, 333333333333)" in picture


def test_draws_a_release_that_is_over_as_a_line_among_others() -> None:
    over = seen(
        shop.restored(), phase=ReleasePhase.FAILED, error="Unhealthy", cause="too many errors"
    )
    lines = drawn(draw_releases([over, seen(shop.shifting())])).splitlines()
    assert lines[0] == "shop-7  ✖ failed  0000007 Add coupons  9m18s"
    assert lines[1] == "  Unhealthy: too many errors"
    assert lines[2] == "shop-7  ◌ progressing in prod  9m18s"


def test_says_where_to_read_on_when_a_person_must_look() -> None:
    stuck = shop.rollout(phase=RolloutPhase.STUCK, error="RestoreFailed", cause="AccessDenied")
    items = [*shop.tested(), shop.stage("prod", StagePhase.FAILED, started=3), stuck]
    shown = seen(items, phase=ReleasePhase.STUCK, error="RestoreFailed", cause="AccessDenied")
    picture = drawn(draw_release(shown))
    assert "⚠ stuck" in picture
    assert "docs/operate.md" in picture
    assert "why    RestoreFailed: AccessDenied" in picture


def test_names_the_command_even_before_the_request_is_recorded() -> None:
    items = [*shop.tested(), shop.stage("prod", StagePhase.AWAITING_APPROVAL, started=3)]
    assert next_words(seen(items)) == "tidegate approve shop-7 --stage prod"


def test_says_how_many_samples_a_step_still_waits_for() -> None:
    late = seen(shop.shifting(), minutes=14)
    assert next_words(late) == "333333333333/eu-west-1: 50 % at 50 samples (14 so far)"


def test_says_that_a_step_is_due_when_there_are_samples_enough() -> None:
    enough = shop.UNDECIDED.model_copy(update={"candidate_invocations": 60})
    assert next_words(seen(shop.shifting(enough), minutes=14)).endswith("50 % now")


def test_says_that_the_last_step_leads_to_the_promotion() -> None:
    last = shop.rollout(step=1, weight=0.5)
    items = [*shop.tested(), shop.stage("prod", StagePhase.ROLLING_OUT), last]
    assert next_words(seen(items)).endswith("promote in 3m42s")


def test_history_draws_a_block_for_each_release() -> None:
    entries = history(
        [shop.release(ReleasePhase.FAILED, error="Unhealthy", cause="errors", ended=10)],
        {"shop-7": shop.restored()},
    )
    assert drawn(draw_history(entries)) == (
        "shop-7  ✖ failed  0000007 Add coupons  by maria  2026-03-01 12:00\n"
        "  live      test 222222222222/eu-west-1 since 2026-03-01 12:02, and still is\n"
        "  approval  prod approved by ana (Admin, 333333333333)\n"
        "  why       Unhealthy: errors"
    )


def test_plan_draws_steps_with_the_times_at_which_they_begin() -> None:
    plan = shop.plan().plan
    prod = plan.stages[1].model_copy(
        update={
            "approval": ApprovalPlan(approvers=2, author_may_approve=False),
            "pre_traffic": (HookPlan(function="Smoke", timeout_seconds=60),),
            "notifications": (NotificationPlan(topic="Releases", events=(Trigger.FAILURE,)),),
            "provisioned": (
                Provisioned(alias_logical_id="OrdersLive", executions=20, memory_mb=1024),
            ),
        }
    )
    orders = ManagedAlias(
        function="Orders",
        alias="live",
        alias_logical_id="OrdersLive",
        version_logical_id="OrdersVersion",
        pin_parameter="Pin",
    )
    plan = plan.model_copy(update={"stages": (prod,), "aliases": (orders,)})
    picture = drawn(draw_plan(plan, ["Look twice."]))
    assert "approval        by 2 people, not the author, within 1d" in picture
    assert "before traffic  Smoke (1m)" in picture
    assert re.search(r"tells +Releases: failure", picture)
    assert "warm            Orders:live 20, and 40 while there are two versions, for 10m" in picture
    assert "about $0.05 more (an estimate" in " ".join(picture.split())
    assert "canary              +0s  █░░░░░░░░░   10 %  for 5m" in picture
    assert "                +5m  █████░░░░░   50 %  for 5m" in picture
    assert "               +10m  ██████████  100 %" in picture
    assert "⚠  Look twice." in picture


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (0.41, "0.4s"),
        (9, "9s"),
        (42, "42s"),
        (192, "3m12s"),
        (3_900, "1h05m"),
        (183_600, "2d03h"),
        (-5, "0s"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0s"), (5.9, "5s"), (65.2, "1m05s"), (-3, "0s")]
)
def test_what_counts_on_has_no_decimals(seconds: float, words: str) -> None:
    assert text.whole_duration(seconds) == words


@pytest.mark.parametrize(
    ("who", "name"),
    [
        (shop.ANA, "ana (Admin, 333333333333)"),
        ("arn:aws:iam::333333333333:user/team/jo", "jo (333333333333)"),
        ("arn:aws:iam::333333333333:root", "root (333333333333)"),
        ("arn:aws:sts::333333333333:assumed-role/Admin", "Admin (Admin, 333333333333)"),
        ("Maria Rossi <maria@example.com>", "Maria Rossi"),
        ("maria", "maria"),
    ],
)
def test_people_go_by_the_name_that_others_know(who: str, name: str) -> None:
    assert text.person(who) == name


@pytest.mark.parametrize(
    ("weight", "cells"), [(0.0, 0), (0.01, 1), (0.25, 2), (0.5, 5), (0.99, 10), (1.0, 10)]
)
def test_a_bar_shows_any_weight_above_zero(weight: float, cells: int) -> None:
    assert text.bar(weight).count("█") == cells


def test_figures_say_when_there_were_no_requests() -> None:
    quiet = Verdict(judgement="insufficient-traffic", stable_invocations=10)
    assert text.numbers(quiet) == "candidate no requests, stable 0/10 errors"
    assert (
        text.numbers(shop.UNHEALTHY)
        == "candidate 21/104 errors (20.2 %), stable 1/950 errors (0.1 %)"
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hello-prod-HelloFunction-1A2B3C4D5E6F", "HelloFunction"),
        ("hello-prod-HelloFunction", "HelloFunction"),
        ("greeter", "greeter"),
        ("other-HelloFunction-1A2B3C4D5E6F", "other-HelloFunction-1A2B3C4D5E6F"),
    ],
)
def test_functions_go_by_the_part_of_their_name_that_a_person_gave(name: str, part: str) -> None:
    assert text.function(name, "hello-prod") == part


def deploying(log: Item) -> str:
    """A rollout whose stack CloudFormation works on, drawn wide."""
    rollout = shop.rollout(phase=RolloutPhase.DEPLOYING, step=-1, step_started=None)
    stage = shop.stage("prod", StagePhase.ROLLING_OUT, started=3)
    return drawn(draw_release(seen([*shop.tested(), stage, rollout, log])), width=140)


def test_draws_what_cloudformation_works_on_and_what_failed() -> None:
    log = shop.stack_log(
        "UPDATE_ROLLBACK_IN_PROGRESS",
        under_way=[shop.stack_line("Orders", "UPDATE_IN_PROGRESS")],
        failures=[shop.stack_line("Cart", "UPDATE_FAILED", "No role.")],
    )
    lines = [re.split(r"  +", line.strip("│ ")) for line in deploying(log).splitlines()]
    assert [
        "├─ stack deploy",
        "✖ update rollback in progress",
        "Orders update in progress",
    ] in lines
    assert ["└─ Cart", "✖ update failed", "AWS::Lambda::Function: No role."] in lines


def test_draws_no_stack_once_it_is_through() -> None:
    log = shop.stack_log("UPDATE_COMPLETE")
    assert drawn(draw_release(seen([*shop.shifting(), log]))) == SHIFTING


def test_says_that_the_events_of_a_stack_cannot_be_read() -> None:
    picture = deploying(shop.stack_log("", unread="AccessDenied."))
    assert "◌ begins" in picture
    assert "its events cannot be read: AccessDenied." in picture


def test_a_failure_without_a_reason_has_its_type() -> None:
    picture = deploying(shop.stack_log(failures=[shop.stack_line("Cart", "UPDATE_FAILED")]))
    assert [line.split()[-1] for line in picture.splitlines() if "Cart" in line] == [
        "AWS::Lambda::Function"
    ]


def test_draws_whom_nobody_could_tell() -> None:
    unsent = Notification(
        release_id="shop-7",
        stage="prod",
        target=shop.PROD,
        trigger=Trigger.START,
        topic="Releases",
        at=shop.at(6),
        error="It is gone.",
    )
    sent = unsent.model_copy(update={"trigger": Trigger.SUCCESS, "error": ""})
    picture = drawn(draw_release(seen([*shop.shifting(), unsent, sent])))
    assert re.search(r"notification start +✖ not sent +It is gone\.", picture)
    assert "notification success" not in picture


def test_draws_what_is_back_and_what_is_not() -> None:
    rollout = shop.rollout(
        phase=RolloutPhase.RESTORED, weight=0.0, ended=10, error="Unhealthy"
    ).model_copy(
        update={
            "restored": (
                Restored(what=f"traffic of {ORDERS}:live", back=True, how="all on version 3"),
                Restored(what="stack", back=True, how="as it was"),
                Restored(what="Table", back=False, how="it is empty"),
            )
        }
    )
    stage = shop.stage("prod", StagePhase.FAILED, started=3, ended=10, error="Unhealthy")
    picture = drawn(draw_release(seen([*shop.tested(), stage, rollout], phase=ReleasePhase.FAILED)))
    assert re.search(r"traffic of Orders:live +✔ is back +all on version 3", picture)
    assert re.search(r"stack +✔ is back +as it was", picture)
    assert re.search(r"Table +⚠ is not back +it is empty", picture)


def test_draws_where_the_bill_of_materials_and_the_provenance_lie() -> None:
    old = seen([shop.plan()])
    assert "built" not in drawn(draw_release(old))
    key = f"{old.artifact.prefix}/provenance/5e1f.intoto.json"
    artifact = old.artifact.model_copy(update={"provenance": key})
    text = drawn(draw_release(old.model_copy(update={"artifact": artifact})), width=200)
    place = f"s3://{artifact.bucket}/{artifact.prefix}/"
    assert f"built  {place} (sbom.cdx.json, provenance/5e1f.intoto.json)" in text
