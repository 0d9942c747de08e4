"""Traffic alone goes back over the adapters: what was released before serves, until the next."""

from __future__ import annotations

import pytest

from support.shops import MakeShop, Shop
from tidegate.core.workflow.operator.requests import Operator
from tidegate.core.workflow.operator.traffic_rollback import rollback_now

pytestmark = pytest.mark.cloud

ADA = Operator("ada", "cli")


@pytest.fixture
def shop(make_shop: MakeShop) -> Shop:
    return make_shop()


def test_what_was_live_before_serves_again_and_the_next_release_deploys_over_it(
    shop: Shop,
) -> None:
    assert [shop.release("one"), shop.release("two")] == ["succeeded", "succeeded"]
    assert shop.answers() == ("two", "2")

    said = rollback_now(shop.ports, ADA, "shop-2", reason="orders are counted twice")

    assert said.startswith(
        "ada put the traffic of shop-2 back on the versions of shop-1, as shop-3"
    )
    assert shop.answers() == ("one", "1")
    assert shop.live().release_id == "shop-3"

    assert shop.release("three") == "succeeded"
    assert shop.answers() == ("three", "3")
    assert shop.live().release_id == "shop-4"


def test_repeated_it_says_the_same_and_moves_nothing(shop: Shop) -> None:
    assert [shop.release("one"), shop.release("two")] == ["succeeded", "succeeded"]
    said = rollback_now(shop.ports, ADA, "shop-2", reason="orders are counted twice")
    assert rollback_now(shop.ports, ADA, "shop-2", reason="I was not sure") == said
    assert shop.answers() == ("one", "1")
