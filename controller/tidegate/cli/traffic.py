"""The traffic that people say there is, or that a live function has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.core.errors import InputError

if TYPE_CHECKING:
    from tidegate.cli.backend import Context
    from tidegate.simulate.traffic import Profile

_LIVE_HOURS = 24

RateOption = Annotated[
    float | None,
    typer.Option(
        "--requests-per-second", "--rps", min=1e-6, help="Requests per second.", show_default=False
    ),
]


def live_profile(here: Context, live: str) -> Profile:
    """The course of the last day of ``function:alias``, from CloudWatch. Raises ``InputError``."""
    from datetime import timedelta

    from tidegate.aws.profile import read_course
    from tidegate.simulate.traffic import profile_of_counts

    function, _, alias = live.partition(":")
    if not function or not alias:
        raise InputError(f'"{live}" is no alias.', remedy="Write function and alias, hello:live.")
    now = here.now()
    cloudwatch = here.session().client("cloudwatch")
    since = now - timedelta(hours=_LIVE_HOURS)
    slot_seconds, counts = read_course(cloudwatch, function, alias, since, now)
    return profile_of_counts(counts, slot_seconds, live)
