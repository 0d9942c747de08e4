"""What the verbs print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doubles
import pytest
import shop
from botocore.exceptions import NoCredentialsError

from tidegate.cli.console import ExitCode, explain
from tidegate.core.errors import NotAllowedNow, RecordConflict
from tidegate.core.model.record import ReleasePhase, SecurityLine, StagePhase

OpenShop = Callable[..., Any]


def ended(phase: ReleasePhase, error: str = "", cause: str = "") -> shop.Release:
    return shop.release(phase, error=error, cause=cause, ended=10)


# --- get


@pytest.mark.parametrize(
    ("release", "items", "exit_code"),
    [
        (ended(ReleasePhase.SUCCEEDED), shop.tested(), 0),
        (ended(ReleasePhase.FAILED, "Unhealthy"), shop.restored(), 1),
        (ended(ReleasePhase.REJECTED, "ApprovalRejected"), shop.tested(), 1),
        (ended(ReleasePhase.STUCK, "RestoreFailed"), shop.restored(), 1),
        (shop.release(), shop.shifting(), 3),
        (shop.release(), shop.asking(), 3),
    ],
    ids=["succeeded", "failed", "rejected", "stuck", "under way", "waiting"],
)
def test_get_exits_with_how_the_release_stands(
    the_shop: OpenShop, release: shop.Release, items: list[Any], exit_code: int
) -> None:
    assert the_shop([release, *items]).run("get", "shop-7").exit_code == exit_code


def test_get_takes_an_application_for_its_newest_release(the_shop: OpenShop) -> None:
    run = the_shop([shop.release(number=6), shop.release(number=7)]).run
    assert run("get", "shop").stdout.startswith("shop-7")
    assert run("get", "shop-6").stdout.startswith("shop-6")


def test_get_as_json_gives_the_whole_view(the_shop: OpenShop) -> None:
    result = the_shop([shop.release(), *shop.shifting()]).run("get", "shop-7", "-o", "json")
    view = json.loads(result.stdout)
    rollout = view["stages"][1]["rollouts"][0]
    assert (rollout["weight"], rollout["next_weight"]) == (0.1, 0.5)
    assert rollout["verdict"]["judgement"] == "undecided"
    assert view["artifact"]["commit"] == shop.artifact().commit


@pytest.mark.parametrize("name", ["shop-8", "store", "store-1", "-1"])
def test_get_of_what_is_not_there_is_an_input_error(the_shop: OpenShop, name: str) -> None:
    result = the_shop([shop.release()]).run("get", "--", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"There is no release or application '{name}'" in result.stderr


def test_get_watch_prints_each_change_once_and_ends_with_the_release(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    here.time.changes = iter(
        [[], [*shop.restored(), ended(ReleasePhase.FAILED, "Unhealthy", "too many errors")]]
    )
    result = here.run("get", "shop-7", "--watch")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "12:09:18 ◌ shop-7: progressing in prod"
    assert len([line for line in lines if "Smoke" in line]) == 1
    assert any("◌ shop-7 prod 333333333333/eu-west-1: shifting · step 1/2" in li for li in lines)
    assert any("✖ shop-7 prod 333333333333/eu-west-1: restored · Unhealthy" in li for li in lines)
    assert any("shop-7: failed · Unhealthy: too many errors" in line for line in lines)


def test_get_watch_gives_up_at_the_timeout(the_shop: OpenShop) -> None:
    result = the_shop([shop.release(), *shop.asking()]).run("get", "shop-7", "-w", "--timeout", "5")
    assert result.exit_code == 124
    assert "shop-7 is not over after 5 s" in result.stderr


def test_get_watch_as_json_prints_the_release_once_when_it_is_over(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    here.time.changes = iter([[ended(ReleasePhase.SUCCEEDED)]])
    result = here.run("get", "shop-7", "--watch", "--output", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["phase"] == "succeeded"


# --- list and history


def test_list_shows_the_releases_of_all_applications_newest_first(the_shop: OpenShop) -> None:
    releases = [shop.release(ReleasePhase.SUCCEEDED, number=n) for n in (5, 6)]
    result = the_shop([*releases, shop.release(), *shop.asking()]).run("list")
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["RELEASE", "shop-7", "shop-6", "shop-5"]
    assert "awaiting approval" in rows[1]


def test_list_as_json_can_be_limited(the_shop: OpenShop) -> None:
    releases = [shop.release(ReleasePhase.SUCCEEDED, number=n) for n in (5, 6)]
    result = the_shop(releases).run("list", "shop", "--limit", "1", "--output", "json")
    assert [row["id"] for row in json.loads(result.stdout)] == ["shop-6"]


def test_history_tells_who_approved_and_why_it_ended(the_shop: OpenShop) -> None:
    release = ended(ReleasePhase.FAILED, "Unhealthy", "21 of 104 failed")
    result = the_shop([release, *shop.restored()]).run("history", "shop")
    assert "prod approved by ana (Admin, 333333333333)" in result.stdout
    assert "Unhealthy: 21 of 104 failed" in result.stdout
    assert "test 222222222222/eu-west-1 since 2026-03-01 12:02, and still is" in result.stdout


def test_history_of_an_unknown_application_is_an_input_error(the_shop: OpenShop) -> None:
    result = the_shop([]).run("history", "store")
    assert result.exit_code == 2
    assert "no application 'store'" in result.stderr


# --- approve, reject, abort


REPLACED = "Replace Table (AWS::DynamoDB::Table): a new, empty one takes its place, irreversible"


def test_approve_finds_the_stage_that_waits(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.asking()])
    result = here.run("approve", "shop-7")
    assert result.exit_code == 0
    assert here.backend.asked == [("approve", "shop-7", "prod", "")]
    assert result.stdout.splitlines() == [
        "shop-7 in prod: 0000007 Add coupons",
        "  333333333333/eu-west-1  Modify Orders (AWS::Lambda::Function)",
        f"  333333333333/eu-west-1  {REPLACED}",
        "approve: done",
        "To stop it: tidegate abort shop-7 --reason 'why'",
    ]


def test_approve_says_what_is_opened_before_what_changes(the_shop: OpenShop) -> None:
    opened = SecurityLine(logical_id="Door", what="lets everybody call Orders")
    preview = shop.preview().model_copy(update={"security": (opened,)})
    items = [item for item in shop.asking() if item.kind != "preview"]
    result = the_shop([shop.release(), *items, preview]).run("approve", "shop-7")
    first = result.stdout.splitlines()[1]
    assert first == "  333333333333/eu-west-1  security: Door lets everybody call Orders"


def test_approve_says_why_one_more_must_agree(the_shop: OpenShop) -> None:
    asked = shop.approval().model_copy(update={"doubts": ("a commit names no author",)})
    others = [item for item in shop.asking() if item.kind != "approval"]
    result = the_shop([shop.release(), *others, asked]).run("approve", "shop-7")
    assert result.stdout.splitlines()[1] == (
        "  It is not certain who wrote this: one person more than the manifest asks must agree:"
        " a commit names no author"
    )


def test_approve_asks_which_stage_is_meant_when_two_wait(the_shop: OpenShop) -> None:
    waiting = shop.stage("test", StagePhase.AWAITING_APPROVAL)
    here = the_shop([shop.release(), *shop.asking(), waiting])
    result = here.run("approve", "shop-7")
    assert result.exit_code == 2
    assert "waits for approval of test and prod. Name one with --stage" in result.stderr


def test_approve_refuses_when_nothing_waits(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    result = here.run("approve", "shop-7")
    assert result.exit_code == 2
    assert "No stage of shop-7 waits for approval; it is progressing" in result.stderr
    assert here.backend.asked == []


def test_approve_leaves_a_named_stage_to_the_controller_to_judge(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    here.backend.refusal = NotAllowedNow("ana has approved already.")
    result = here.run("approve", "shop-7", "--stage", "prod")
    assert (result.exit_code, result.stderr) == (2, "error: ana has approved already.\n")


def test_reject_needs_a_reason(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.asking()])
    assert here.run("reject", "shop-7").exit_code == 2
    assert here.run("reject", "shop-7", "--reason", "not now").exit_code == 0
    assert here.backend.asked == [("reject", "shop-7", "prod", "not now")]


def test_abort_needs_no_stage(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    assert here.run("abort", "shop", "--reason", "wrong prices").exit_code == 0
    assert here.backend.asked == [("abort", "shop-7", "", "wrong prices")]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["promote", "shop"], ("promote", "shop-7", "", "")),
        (["promote", "shop", "--full", "--reason", "fix"], ("promote-full", "shop-7", "", "fix")),
        (["pause", "shop-7", "--reason", "lunch"], ("pause", "shop-7", "", "lunch")),
        (["resume", "shop-7"], ("resume", "shop-7", "", "")),
        (["set-weight", "shop-7", "25%"], ("set-weight", "shop-7", "", "", "25%")),
        (["retry", "shop-7"], ("retry", "shop-7", "", "")),
        (["rollback", "shop", "--reason", "x"], ("rollback", "shop-7", "", "x")),
        (["rollback", "shop", "--now", "--reason", "x"], ("rollback-now", "shop-7", "", "x")),
        (
            ["rollback", "shop", "--to", "shop-3", "--reason", "x"],
            ("rollback", "shop-7", "", "x", "shop-3"),
        ),
        (
            ["unlock", "shop-7", "--reason", "mended", "--confirm", "shop-7"],
            ("unlock", "shop-7", "", "mended", "shop-7"),
        ),
    ],
)
def test_steering_verbs_ask_the_controller(
    the_shop: OpenShop, arguments: list[str], asked: tuple[str, ...]
) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    assert here.run(*arguments).exit_code == 0
    assert here.backend.asked == [asked]


def test_a_weight_that_is_none_asks_nobody(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    assert here.run("set-weight", "shop-7", "lots").exit_code == 2
    assert here.run("set-weight", "shop-7", "0.25").exit_code == 0
    assert here.backend.asked == [("set-weight", "shop-7", "", "", "0.25")]


def test_unlock_has_the_name_typed(the_shop: OpenShop) -> None:
    here = the_shop([shop.release(), *shop.shifting()])
    result = here.run("unlock", "shop-7", "--reason", "mended", typed="shop-7\n")
    assert "Type shop-7 to say that its traffic is right" in result.stdout
    assert here.backend.asked == [("unlock", "shop-7", "", "mended", "shop-7")]


# --- release


@pytest.fixture
def release_file(tmp_path: Path) -> Path:
    file = tmp_path / "release.json"
    file.write_text(shop.artifact().model_dump_json())
    return file


def test_release_starts_the_artifact_and_names_the_release(
    the_shop: OpenShop, release_file: Path
) -> None:
    here = the_shop([])
    here.time.changes = iter([[], [doubles.numbered(), shop.release(ReleasePhase.TESTING)]])
    result = here.run("release", str(release_file))
    assert result.exit_code == 0
    assert here.backend.started == [shop.artifact()]
    assert "It is shop-7." in result.stdout


def test_release_watch_exits_with_how_it_ended(the_shop: OpenShop, release_file: Path) -> None:
    here = the_shop([doubles.numbered(), shop.release(ReleasePhase.TESTING), shop.plan()])
    here.time.changes = iter([[ended(ReleasePhase.FAILED, "TestsFailed")]])
    assert here.run("release", str(release_file), "--watch").exit_code == 1


def test_release_says_when_there_is_no_number_yet(the_shop: OpenShop, release_file: Path) -> None:
    result = the_shop([]).run("release", str(release_file))
    assert result.exit_code == 0
    assert "no number yet" in result.stdout


def test_release_refuses_a_file_that_no_build_wrote(the_shop: OpenShop, tmp_path: Path) -> None:
    file = tmp_path / "release.json"
    missing = the_shop([]).run("release", str(file))
    assert (missing.exit_code, "There is no file" in missing.stderr) == (2, True)
    file.write_text('{"application": "shop"}')
    wrong = the_shop([]).run("release", str(file))
    assert (wrong.exit_code, "digest: Field required" in wrong.stderr) == (2, True)


# --- errors


def test_a_failure_is_one_message_with_the_name_of_the_error(the_shop: OpenShop) -> None:
    here = the_shop([shop.release()])
    here.backend.refusal = RecordConflict("the record changed.", remedy="Try again.")
    result = here.run("abort", "shop-7", "--reason", "x")
    assert result.exit_code == 1
    assert result.stderr == "error: RecordConflict: the record changed. Try again.\n"


def test_an_unexpected_failure_has_a_traceback_only_with_debug(
    the_shop: OpenShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_DEBUG", "")
    here = the_shop([shop.release()])
    here.backend.ledger = None
    plain = here.run("get", "shop-7")
    assert plain.exit_code == 1
    assert "unexpected AttributeError" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in here.run("--debug", "get", "shop-7").stderr


def test_an_unknown_verb_is_a_usage_error(the_shop: OpenShop) -> None:
    assert the_shop([]).run("aprove").exit_code == 2


def test_version_is_the_package_version(the_shop: OpenShop) -> None:
    assert the_shop([]).run("version").stdout.strip().count(".") == 2


def test_a_file_that_cannot_be_read_is_an_input_error() -> None:
    error = PermissionError(13, "Permission denied", "tidegate.yaml")
    assert explain(error) == (("tidegate.yaml: Permission denied.",), ExitCode.INPUT)


def test_what_aws_says_is_passed_on_in_one_line() -> None:
    lines, code = explain(NoCredentialsError())
    assert (lines, code) == (("AWS: Unable to locate credentials",), ExitCode.FAILED)
