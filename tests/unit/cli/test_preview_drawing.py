"""What a person sees of a deployment while it waits for their approval."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
import shop
from test_drawings import drawn, seen

from tidegate.cli.terminal import PLAIN_SIGNS
from tidegate.cli.tree import ICONS
from tidegate.cli.view import STYLES, draw_release
from tidegate.core.insight.views import Severity
from tidegate.core.model.record import (
    ChangeLine,
    FunctionLine,
    ParameterLine,
    SecurityLine,
    WarmLine,
)

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def picture(*, width: int = 140, **shown: object) -> str:
    """The release while prod waits, with this in its preview."""
    preview = shop.preview().model_copy(update=shown)
    items = [item for item in shop.asking() if item.kind != "preview"]
    return drawn(draw_release(seen([*items, preview])), width=width)


def function(**fields: object) -> str:
    orders = FunctionLine(function="Orders", alias="live", old_version="41")
    return picture(functions=(orders.model_copy(update=fields),))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"publishes": True, "old_code": OLD, "new_code": NEW},
            r"λ Orders:live +○ version 41 → new +code aaaaaaaaaaaa → bbbbbbbbbbbb",
        ),
        (
            {"publishes": True, "old_code": OLD, "new_code": OLD},
            r"version 41 → new +code aaaaaaaaaaaa stays, its configuration changes",
        ),
        ({"old_code": OLD, "new_code": OLD}, r"version 41 stays +code aaaaaaaaaaaa"),
        ({"old_version": "", "publishes": True, "new_code": NEW}, r"○ new +code bbbbbbbbbbbb"),
        ({"alias": "", "old_version": "", "new_code": ""}, r"λ Orders +○ new"),
        ({"old_version": "41"}, r"version 41 stays"),
    ],
)
def test_draws_old_and_new_of_each_function(fields: dict[str, object], line: str) -> None:
    assert re.search(line, function(**fields))


def test_draws_what_the_canary_does_not_cover() -> None:
    shown = function(publishes=True, not_canaried=("Queue calls it without the alias",))
    assert re.search(r"not canaried +⚠ look +Queue calls it without the alias", shown)


def test_draws_first_what_the_commit_changes_of_its_own_gates_and_leaves_of_the_template() -> None:
    gate, left = (
        "asks nobody, not 2 people",
        "The template's hook Smoke does not run before traffic.",
    )
    drawing = picture(gates=(gate,), unheeded=(left,), width=180)
    assert re.search(f"its own gates +⚠ changed by this commit +{gate}", drawing)
    assert left in drawing
    assert drawing.index(gate) < drawing.index(left) < drawing.index("modify")


def test_draws_what_is_opened_under_a_heading_and_in_a_colour_of_its_own() -> None:
    line = SecurityLine(logical_id="Door", what="lets everybody call Orders")
    drawing = picture(security=(line,))
    assert re.search(r"security +◆ changes who may do what", drawing)
    assert re.search(r"Door +◆ look +lets everybody call Orders", drawing)
    assert list(STYLES.values()).count(STYLES[Severity.SECURITY]) == 1
    assert list(ICONS.values()).count(ICONS[Severity.SECURITY]) == 1
    assert ICONS[Severity.SECURITY] in PLAIN_SIGNS


def test_the_page_has_a_sign_and_a_colour_for_every_mood() -> None:
    page = files("tidegate.web") / "page"
    script, style = ((page / name).read_text("utf-8") for name in ("page.js", "page.css"))
    for severity, icon in ICONS.items():
        assert f"{severity}: '{icon}'" in script
        assert re.search(rf"\.{severity}\b[^{{]*{{ color:", style)


def test_draws_alarms_that_fire_before_anything_moves() -> None:
    shown = picture(firing=("shop-latency",))
    assert re.search(r"alarm shop-latency +⚠ fires already +not counted in this rollout", shown)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"before": 3, "wanted": 3, "together": 6, "seconds": 1800, "extra_usd": 0.42},
            (
                r"3, and 6 while there are two versions, for 30m or more: about \$0\.42 more \(an"
                r" estimate, with prices of us-east-1\)"
            ),
        ),
        (
            {"before": 3, "wanted": 4, "together": 7, "extra_usd": 0.001},
            r"3 → 4, and 7 while .* until the rollout is over: about less than \$0\.01 more",
        ),
        ({"before": 3, "wanted": 5, "together": 5}, r"3 → 5$"),
        ({"before": 0, "wanted": 2, "together": 2}, r"0 → 2$"),
        ({"before": 2, "wanted": 2, "together": 2}, r"2$"),
    ],
)
def test_draws_what_is_kept_warm_and_what_two_versions_of_it_cost(
    fields: dict[str, float], words: str
) -> None:
    line = WarmLine.model_validate({"function": "Orders", "alias": "live", **fields})
    shown = picture(width=220, warms=(line,))
    assert re.search(rf"warm Orders:live +○ provisioned +{words}", shown, re.MULTILINE)


def test_draws_parameters_that_change() -> None:
    shown = picture(
        parameters=(ParameterLine(name="Stage", old="a", new="b"), ParameterLine(name="X", new="c"))
    )
    assert re.search(r"parameter Stage +○ modify +a → b", shown)
    assert re.search(r"parameter X +○ add +c", shown)


def test_a_version_that_only_leaves_the_stack_is_no_alarm() -> None:
    gone = ChangeLine(
        logical_id="OldVersion", type="AWS::Lambda::Version", change="Remove", kept=True
    )
    shown = picture(changes=(gone,))
    assert re.search(r"OldVersion +○ remove +AWS::Lambda::Version: leaves the stack", shown)
    assert "⚠" not in shown
