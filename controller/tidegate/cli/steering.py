"""Verbs that steer a release: promote, pause, resume, set-weight, retry, rollback, unlock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.operating import ReleaseArgument
from tidegate.cli.terminal import ask, say

if TYPE_CHECKING:
    from tidegate.cli.backend import Context

ReasonOption = Annotated[str, typer.Option(help="Kept in the record.", show_default=False)]
RequiredReason = Annotated[str, typer.Option("--reason", help="Why; kept in the record.")]


def promote(
    context: typer.Context,
    release_id: ReleaseArgument,
    full: Annotated[
        bool, typer.Option("--full", help="To all traffic: no more bakes, but every hook.")
    ] = False,
    reason: ReasonOption = "",
) -> None:
    """Go to the next step now, without the rest of the bake.

    It counts for what shifts now, once. An unhealthy candidate goes back all the same.

    \b
    Examples:
      tidegate promote hello-4
      tidegate promote hello-4 --full --reason "the fix is urgent"
    """
    _ask(context, "promote-full" if full else "promote", release_id, reason)


def pause(context: typer.Context, release_id: ReleaseArgument, reason: ReasonOption = "") -> None:
    """Hold the weights where they are.

    The candidate is watched all the same, and goes back when it is unhealthy. A paused release
    moves by hand: `tidegate promote RELEASE` takes one step. `tidegate resume RELEASE` ends it.

    \b
    Examples:
      tidegate pause hello-4 --reason "waiting for the nightly batch"
    """
    _ask(context, "pause", release_id, reason)


def resume(context: typer.Context, release_id: ReleaseArgument, reason: ReasonOption = "") -> None:
    """Let a paused release go on by its plan.

    \b
    Examples:
      tidegate resume hello-4
    """
    _ask(context, "resume", release_id, reason)


def set_weight(
    context: typer.Context,
    release_id: ReleaseArgument,
    weight: Annotated[str, typer.Argument(metavar="WEIGHT", help="Such as 25% or 0.25.")],
    reason: ReasonOption = "",
) -> None:
    """Give the candidates another share of the traffic.

    More than they have, and at most what the plan's last step gives them. The plan goes on from
    there.

    \b
    Examples:
      tidegate set-weight hello-4 25%
    """
    from tidegate.core.text.quantities import parse_share

    parse_share(weight)
    _ask(context, "set-weight", release_id, reason, weight)


def retry(context: typer.Context, release_id: ReleaseArgument, reason: ReasonOption = "") -> None:
    """Release the same artifact once more.

    For a release that ended without success: the same bytes, under a new number.

    \b
    Examples:
      tidegate retry hello-4 --reason "the test environment was down"
    """
    _ask(context, "retry", release_id, reason)


def rollback(
    context: typer.Context,
    release_id: ReleaseArgument,
    reason: RequiredReason,
    to: Annotated[
        str, typer.Option(help="A good release; otherwise the last one before.", show_default=False)
    ] = "",
    now: Annotated[
        bool, typer.Option("--now", help="Only the traffic, in seconds; the stacks stay.")
    ] = False,
) -> None:
    """Release an earlier good artifact, or put only the traffic back.

    It goes through the same tests, approvals and steps. With --now every alias goes back at once to
    the version that the earlier release served, and nothing else changes: the same command without
    --now brings the stacks after. To take back what is being shifted right now, use
    `tidegate abort RELEASE --reason TEXT`: that takes seconds.

    \b
    Examples:
      tidegate rollback hello --reason "orders are counted twice"
      tidegate rollback hello --to hello-2 --reason "orders are counted twice"
      tidegate rollback hello --now --reason "orders are counted twice"
    """
    _ask(context, "rollback-now" if now else "rollback", release_id, reason, to)


def unlock(
    context: typer.Context,
    release_id: ReleaseArgument,
    reason: RequiredReason,
    confirm: Annotated[
        str, typer.Option(help="The release's name, instead of typing it.", show_default=False)
    ] = "",
) -> None:
    """Free the lock of a stuck release.

    You vouch for its traffic: look at the aliases first (docs/operate.md, "It is stuck"). Nothing
    is moved.

    \b
    Examples:
      tidegate unlock hello-4 --reason "alias is back on 41; the role had lost a permission"
    """
    from tidegate.cli.reading import find_release

    here: Context = context.obj
    found = find_release(here.connect().ledger, release_id)
    typed = confirm or ask(f"Type {found.id} to say that its traffic is right")
    say(here.connect().operate("unlock", found.id, "", reason, typed))


def _ask(
    context: typer.Context, verb: str, release_id: str, reason: str, argument: str = ""
) -> None:
    from tidegate.cli.reading import find_release

    here: Context = context.obj
    found = find_release(here.connect().ledger, release_id)
    say(here.connect().operate(verb, found.id, "", reason, argument))


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    for verb in (promote, pause, resume, set_weight, retry, rollback, unlock):
        app.command()(verb)
