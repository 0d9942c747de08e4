"""The verb that tells why a rollout went as it did: explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import Output, show

if TYPE_CHECKING:
    from tidegate.cli.backend import Context


def explain(
    context: typer.Context,
    release: Annotated[
        str,
        typer.Argument(metavar="RELEASE", help="Its id, or an application for its newest release."),
    ],
    stage: Annotated[str | None, typer.Option(help="This stage only.", show_default=False)] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Tell why a release went as it did, decision by decision.

    Each with the data that it rested on, the rule that led to it, and what would have turned it:
    the smallest change of each setting under which the same data lead to another action.

    \b
    Examples:
      tidegate explain hello
      tidegate explain hello-42 --stage prod
      tidegate explain hello-42 --output json | jq '.rollouts[].decisions[].counterfactuals'
    """
    from tidegate.cli.explainview import draw_explanation
    from tidegate.cli.reading import find_release, read_decisions
    from tidegate.core.insight.explain import explain_release

    here: Context = context.obj
    ledger = here.connect().ledger
    found = find_release(ledger, release)
    explained = explain_release(found.id, read_decisions(ledger, found))
    if stage is not None:
        chosen = tuple(one for one in explained.rollouts if one.stage == stage)
        explained = explained.model_copy(update={"rollouts": chosen})
    show(explained.model_dump(mode="json"), output, lambda: draw_explanation(explained))


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(explain)
