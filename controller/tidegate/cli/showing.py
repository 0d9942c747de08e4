"""Verbs that read: list, get, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import ExitCode, Output, complain, console, show

if TYPE_CHECKING:
    from tidegate.cli.backend import Context
    from tidegate.core.insight.views import ReleaseView

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")]
LimitOption = Annotated[int, typer.Option(min=1, help="How many releases of an application.")]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=1, help="Give up watching after so many seconds, exit code 124."),
]


def list_releases(
    context: typer.Context,
    application: Annotated[
        str | None,
        typer.Argument(metavar="APPLICATION", help="This one only.", show_default=False),
    ] = None,
    limit: LimitOption = 10,
    output: OutputOption = Output.TABLE,
) -> None:
    """List releases, newest first.

    \b
    Examples:
      tidegate list
      tidegate list hello --limit 3
      tidegate list --output json
    """
    from tidegate.cli.reading import application_names, read_releases
    from tidegate.cli.view import draw_list

    here: Context = context.obj
    ledger = here.connect().ledger
    names = [application] if application else application_names(ledger)
    views = read_releases(ledger, names, here.now(), limit)
    rows = [view.model_dump(mode="json", exclude={"tests", "stages"}) for view in views]
    show(rows, output, lambda: draw_list(views))


def get(
    context: typer.Context,
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Its id, or an application for its newest.")
    ],
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow it until it is over.")
    ] = False,
    timeout_seconds: TimeoutOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show a release, or follow it.

    \b
    The exit code tells how it stands: 0 succeeded, 1 failed or taken back, 3 under way.
    With --watch, a terminal is redrawn in place; elsewhere each change is a line, and with
    --output json the release is printed once, when it is over.

    \b
    Examples:
      tidegate get hello-4
      tidegate get hello --watch
      tidegate get hello-4 --output json | jq '.stages[].rollouts[].verdict'
    """
    from tidegate.cli.reading import read_again

    here: Context = context.obj
    ledger = here.connect().ledger
    view = read_again(ledger, release, here.now())
    if watch:
        view = follow_release(here, view.id, timeout_seconds, quiet=output is Output.JSON)
    if not (watch and output is Output.TABLE):
        _show_release(view, output)
    raise typer.Exit(standing(view))


def history(
    context: typer.Context,
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="Its name.")],
    limit: LimitOption = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell what was live when, and who approved.

    Also why a release ended early.

    \b
    Examples:
      tidegate history hello
      tidegate history hello --limit 100 --output json
    """
    from tidegate.cli.reading import read_history
    from tidegate.cli.view import draw_history

    here: Context = context.obj
    entries = read_history(here.connect().ledger, application, limit)
    rows = [entry.model_dump(mode="json") for entry in entries]
    show(rows, output, lambda: draw_history(entries))


def follow_release(
    here: Context, release_id: str, timeout_seconds: float | None, *, quiet: bool = False
) -> ReleaseView:
    """Watch a release until it is over. Ends the command with exit code 124 when it takes longer.

    ``quiet`` waits without showing anything.
    """
    from tidegate.cli.reading import read_again
    from tidegate.cli.view import draw_release
    from tidegate.cli.watch import WatchTimeoutError, follow

    ledger = here.connect().ledger
    try:
        views = follow(
            lambda now: [read_again(ledger, release_id, now)],
            lambda views: views[0].phase.over,
            console=console(quiet=quiet),
            draw=lambda views: draw_release(views[0]),
            timeout_seconds=timeout_seconds,
            now=here.now,
            pause=here.pause,
        )
    except WatchTimeoutError:
        complain(f"{release_id} is not over after {timeout_seconds:.0f} s.")
        raise typer.Exit(ExitCode.TIMEOUT) from None
    return views[0]


def standing(view: ReleaseView) -> ExitCode:
    """The exit code that tells how a release stands."""
    from tidegate.core.insight.views import Severity

    if not view.phase.over:
        return ExitCode.WAITING
    return ExitCode.OK if view.severity is Severity.GOOD else ExitCode.FAILED


def _show_release(view: ReleaseView, output: Output) -> None:
    from tidegate.cli.view import draw_release

    show(view.model_dump(mode="json"), output, lambda: draw_release(view))


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command("list")(list_releases)
    app.command()(get)
    app.command()(history)
