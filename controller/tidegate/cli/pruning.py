"""The verb that deletes versions which nobody needs: prune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import ExitCode, Output, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tidegate.cli.backend import Context
    from tidegate.core.model.record import PrunedFunction, Pruning


def prune(
    context: typer.Context,
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="Its name.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Delete old versions of an application's functions, as is done after each release.

    \b
    Those that served well last stay, as many as `keep_versions` in the manifest says, and every
    version that the next `rollback --now`, an alias, a rollout, the release that is live or a stack
    refers to. Candidates that failed do not count.

    \b
    Examples:
      tidegate prune hello --dry-run
      tidegate prune hello --output json
    """
    here: Context = context.obj
    prunings = here.connect().prune(application, dry_run=dry_run)
    rows = [pruning.model_dump(mode="json") for pruning in prunings]
    show(rows, output, lambda: _draw(prunings))
    if any(pruning.error or _left(pruning) for pruning in prunings):
        raise typer.Exit(ExitCode.FAILED)


def _left(pruning: Pruning) -> bool:
    return any(function.failed for function in pruning.functions)


def _draw(prunings: list[Pruning]) -> RenderableType:
    from rich.console import Group

    return Group(*(line for pruning in prunings for line in _lines(pruning)))


def _lines(pruning: Pruning) -> list[str]:
    head = f"{pruning.stage} {pruning.target}"
    if pruning.error:
        return [f"{head}: {pruning.error}"]
    if not pruning.functions:
        return [f"{head}: every version is needed"]
    return [f"{head}:", *(f"  {_function(f, pruning)}" for f in pruning.functions)]


def _function(function: PrunedFunction, pruning: Pruning) -> str:
    verb, gone = (
        ("would delete", function.spare) if pruning.dry_run else ("deleted", function.deleted)
    )
    words = f"{function.function}: {verb} {_numbers(gone)}, keeps {_numbers(function.kept)}"
    waiting = len(function.spare) - len(gone) - len(function.failed)
    if waiting:
        words += f"; {waiting} more go next time"
    return words + "".join(f"; {version} stays: {why}" for version, why in function.failed.items())


def _numbers(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions)) or "none"


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(prune)
