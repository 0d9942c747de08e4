"""The verb that looks for what would stop a release."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tidegate.core.workflow.operator.doctor import Finding

OpenShop = Callable[..., Any]
WELL = Finding(place="prod", what="role", well=True, says="it lets us in")
ILL = Finding(
    place="prod",
    what="stack",
    well=False,
    says="shop-prod is ROLLBACK_COMPLETE",
    remedy="Delete it.",
)


def test_says_what_is_wrong_and_the_mend(the_shop: OpenShop) -> None:
    here = the_shop([])
    here.backend.findings = [WELL, ILL]
    result = here.run("doctor", "shop")
    assert result.exit_code == 1
    assert "✔ role" in result.stdout
    assert "✖ stack  shop-prod is ROLLBACK_COMPLETE. Delete it." in result.stdout
    assert here.backend.asked == [("diagnose", "shop")]


def test_all_well_is_exit_code_zero(the_shop: OpenShop) -> None:
    here = the_shop([])
    here.backend.findings = [WELL]
    result = here.run("doctor", "shop", "--output", "json")
    assert result.exit_code == 0
    assert [row["well"] for row in json.loads(result.stdout)] == [True]
