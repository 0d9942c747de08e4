"""The verb that looks for what would stop a release: doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import ExitCode, Output, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tidegate.cli.backend import Context
    from tidegate.core.workflow.operator.doctor import Finding


def doctor(
    context: typer.Context,
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="Its name.")],
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Look at an application's targets: roles, stacks, alarms, metrics, capacity. Changes nothing.

    \b
    The controller looks, with the permissions that it deploys with. The exit code is 1 when
    something would stop a release, leave it unjudged, or costs for nothing.

    \b
    Examples:
      tidegate doctor hello
      tidegate doctor hello --output json
    """
    here: Context = context.obj
    findings = here.connect().diagnose(application)
    show([finding.model_dump(mode="json") for finding in findings], output, lambda: _draw(findings))
    if not all(finding.well for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _draw(findings: list[Finding]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("WHERE", "WHAT", "FOUND"):
        table.add_column(title, no_wrap=title != "FOUND", overflow="fold")
    for finding in findings:
        mark = Text("✔ " if finding.well else "✖ ", style="green" if finding.well else "red")
        says = f"{finding.says}. {finding.remedy}" if finding.remedy else finding.says
        table.add_row(finding.place, mark + Text(finding.what), Text(says))
    return table


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(doctor)
