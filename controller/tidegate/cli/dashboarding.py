"""The verb that shows the page: dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.terminal import say
from tidegate.core.errors import InputError

if TYPE_CHECKING:
    from tidegate.cli.backend import Context


def dashboard(
    context: typer.Context,
    release: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE", help="Open at this one.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free one.")] = 3100,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = True,
) -> None:
    """Show releases in a browser, until Ctrl-C.

    \b
    The page is served by this machine, to you alone: its address has a key in it. What you
    click is asked under your own AWS identity, as the other verbs ask it.

    \b
    Examples:
      tidegate dashboard
      tidegate dashboard hello-4
      tidegate dashboard --port 0 --no-open
    """
    import webbrowser

    from tidegate.web.server import Page, PageServer

    here: Context = context.obj
    page = Page(here.connect(), here.now)
    try:
        server = PageServer(page, port)
    except OSError as error:
        raise InputError(f"Port {port}: {error.strerror}.", mend="Name another: --port.") from error
    with server:
        address = server.address(release or "")
        say(f"The dashboard is at {address}", "Ctrl-C ends it.")
        if browse:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say()


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(dashboard)
