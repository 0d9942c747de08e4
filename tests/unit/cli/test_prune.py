"""The verb that deletes old versions, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import shop

from tidegate.core.model.record import PrunedFunction, Pruning

OpenShop = Callable[..., Any]
ORDERS = PrunedFunction(function="orders", spare=(1, 2), kept=(3, 4))


def pruning(*functions: PrunedFunction, dry_run: bool = False, error: str = "") -> Pruning:
    return Pruning(
        application="shop",
        stage="prod",
        target=shop.PROD,
        at=shop.at(0),
        dry_run=dry_run,
        functions=functions,
        error=error,
    )


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (pruning(ORDERS, dry_run=True), 0, "orders: would delete 1, 2, keeps 3, 4"),
        (
            pruning(ORDERS.model_copy(update={"deleted": (1, 2)})),
            0,
            "orders: deleted 1, 2, keeps 3, 4",
        ),
        (
            pruning(ORDERS.model_copy(update={"deleted": (1,)})),
            0,
            "orders: deleted 1, keeps 3, 4; 1 more go next time",
        ),
        (
            pruning(ORDERS.model_copy(update={"failed": {"1": "no", "2": "never"}})),
            1,
            "orders: deleted none, keeps 3, 4; 1 stays: no; 2 stays: never",
        ),
        (pruning(), 0, "prod 333333333333/eu-west-1: every version is needed"),
        (pruning(error="the stack is busy."), 1, "prod 333333333333/eu-west-1: the stack is busy."),
    ],
)
def test_says_what_went_and_what_stays(
    the_shop: OpenShop, found: Pruning, code: int, words: str
) -> None:
    here = the_shop([])
    here.backend.prunings = [found]
    result = here.run("prune", "shop", "--dry-run")
    assert result.exit_code == code
    assert words in result.stdout
    assert here.backend.asked == [("prune", "shop", "True")]


def test_programs_get_all_of_it(the_shop: OpenShop) -> None:
    here = the_shop([])
    here.backend.prunings = [pruning(ORDERS, dry_run=True)]
    rows = json.loads(here.run("prune", "shop", "--output", "json").stdout)
    assert rows[0]["functions"][0]["spare"] == [1, 2]
    assert here.backend.asked == [("prune", "shop", "False")]
