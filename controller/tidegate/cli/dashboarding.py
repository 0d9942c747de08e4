"""The verb that shows the page: dashboard."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import end_on_sigterm
from tidegate.cli.terminal import say
from tidegate.core.errors import InputError

if TYPE_CHECKING:
    from tidegate.cli.backend import Context
    from tidegate.web.handover import Handover


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
    The page is served by this machine, to you alone: its address has a key in it. The browser
    gets it from a file that only you can read, and that goes when the page is shown. What you
    click is asked under your own AWS identity, as the other verbs ask it.

    \b
    Examples:
      tidegate dashboard
      tidegate dashboard hello-4
      tidegate dashboard --port 0 --no-open
    """
    from tidegate.web.handover import Handover
    from tidegate.web.server import Page, PageServer

    here: Context = context.obj
    end_on_sigterm()
    with closing(Handover()) as handover:
        page = Page(here.connect(), here.now, on_key=handover.close)
        try:
            server = PageServer(page, port)
        except OSError as error:
            remedy = "Name another: --port."
            raise InputError(f"Port {port}: {error.strerror}.", remedy=remedy) from error
        with server:
            address = server.address(release or "")
            say(f"The dashboard is at {address}", "Ctrl-C ends it.")
            if browse:
                _open(handover, address)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                say()


def _open(handover: Handover, address: str) -> None:
    import webbrowser

    try:
        leading = handover.lead_to(address)
    except OSError as error:
        say(f"No browser was opened: {error}. Open the address above.", err=True)
    else:
        webbrowser.open(leading)


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(dashboard)
