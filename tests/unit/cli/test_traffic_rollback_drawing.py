"""What a person sees of a release that only took traffic back."""

from __future__ import annotations

import pytest
import shop
from test_drawings import drawn, seen

from tidegate.cli.view import draw_history, draw_release
from tidegate.core.insight.history import history
from tidegate.core.model.record import TrafficRollback

BACK = TrafficRollback(of="shop-6", to="shop-5")
SAID = "only: from shop-6 back to the versions of shop-5; the stacks stayed with shop-6"


def test_release_says_that_its_stacks_stayed() -> None:
    view = seen(shop.asking()).model_copy(update={"traffic_rollback": BACK})
    assert SAID in drawn(draw_release(view), width=140)


@pytest.mark.parametrize("verb", ["get", "history"])
def test_says_which_release_was_ended_for_it(verb: str) -> None:
    back = BACK.model_copy(update={"ended": "shop-7"})
    release = shop.release(number=8).model_copy(update={"traffic_rollback": back})
    views = {
        "get": draw_release(seen(shop.asking()).model_copy(update={"traffic_rollback": back})),
        "history": draw_history(history([release], {})),
    }
    assert f"{SAID}; shop-7 was under way, and was aborted for it" in drawn(views[verb], width=180)


def test_history_says_that_only_traffic_moved() -> None:
    release = shop.release().model_copy(update={"traffic_rollback": BACK})
    assert SAID in drawn(draw_history(history([release], {})), width=140)
