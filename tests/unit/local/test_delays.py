"""The embedded AWS's own delays: one factor for all of them."""

import dataclasses

import pytest

from tidegate.core.errors import InputError
from tidegate_embedded.delays import Delays


def values(delays: Delays) -> dict[str, float | tuple[float, ...]]:
    return dataclasses.asdict(delays)


def test_the_defaults_hold_when_the_environment_says_nothing() -> None:
    assert Delays.from_environment({}) == Delays()
    assert Delays.from_environment({"TIDEGATE_LOCAL_DELAYS": ""}) == Delays()


def test_the_environment_makes_all_of_them_longer() -> None:
    tenfold = Delays.from_environment({"TIDEGATE_LOCAL_DELAYS": "10"})
    assert tenfold.capacity_seconds == 10 * Delays().capacity_seconds
    for name, value in values(tenfold).items():
        before = values(Delays())[name]
        assert value == pytest.approx(
            [10 * each for each in before] if isinstance(before, tuple) else 10 * before
        )


def test_without_delays_what_is_done_again_and_again_still_has_a_pause() -> None:
    none = Delays().times(0)
    assert none.capacity_seconds == none.function_seconds == none.snapshot_seconds == 0
    assert none.event_retry_seconds == (0, 0)
    for name, value in values(none).items():
        if "interval" in name or "throttled" in name:
            assert value == (0.01,) * 4 if isinstance(value, tuple) else 0.01


@pytest.mark.parametrize("wrong", ["fast", "-1", "nan", "inf"])
def test_what_is_no_factor_is_an_input_error_that_names_the_variable(wrong: str) -> None:
    with pytest.raises(InputError, match=f"TIDEGATE_LOCAL_DELAYS is '{wrong}'"):
        Delays.from_environment({"TIDEGATE_LOCAL_DELAYS": wrong})
