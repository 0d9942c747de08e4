"""The ``tidegate`` command: its verbs, and the options that all of them share."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Annotated

import typer

from tidegate.cli import (
    building,
    checking,
    dashboarding,
    doctoring,
    explaining,
    migrating,
    operating,
    pruning,
    showing,
    simulating,
    starting,
    steering,
)
from tidegate.cli.backend import Context, Settings, connect
from tidegate.cli.console import Group, debug
from tidegate.cli.terminal import say

_EPILOG = (
    "Exit codes: 0 done, or the release succeeded; 1 an error, or the release failed or was taken"
    " back; 2 wrong usage or input; 3 the release is under way or waits for a person; 124 timeout."
)

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)


@app.callback()
def tidegate(
    context: typer.Context,
    stack: Annotated[
        str, typer.Option(envvar="TIDEGATE_STACK", help="Name of the controller's stack.")
    ] = "tidegate",
    region: Annotated[
        str | None, typer.Option(help="AWS region of the controller.", show_default=False)
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="AWS profile to use.", show_default=False)
    ] = None,
    with_traceback: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from.")
    ] = False,
) -> None:
    """Progressive delivery for AWS Lambda: release, watch, approve, and look back."""
    if with_traceback:
        debug()
    if context.obj is None:
        settings = Settings(stack=stack, region=region, profile=profile)
        context.obj = Context(connect=lambda: connect(settings), session=settings.session)


@app.command()
def version() -> None:
    """Print the version of this command."""
    from importlib.metadata import version as version_of

    say(version_of("tidegate"))


def _register_local() -> None:
    """The verbs of the embedded AWS are there when it is installed."""
    if importlib.util.find_spec("tidegate_embedded") is not None:
        app.add_typer(importlib.import_module("tidegate.cli.local").app, name="local")


for verbs in (
    starting,
    checking,
    migrating,
    building,
    operating,
    steering,
    showing,
    dashboarding,
    explaining,
    simulating,
    pruning,
    doctoring,
):
    verbs.register(app)
_register_local()
