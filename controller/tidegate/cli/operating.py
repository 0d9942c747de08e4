"""Verbs that start a release or end it: release, approve, reject, abort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.terminal import say
from tidegate.core.errors import InputError
from tidegate.core.text.commands import command

if TYPE_CHECKING:
    from tidegate.cli.backend import Context
    from tidegate.core.insight.views import ReleaseView
    from tidegate.core.model.plan import ArtifactRef
    from tidegate.core.ports import Ledger

_NUMBERED_WITHIN_SECONDS = 30

ReleaseArgument = Annotated[
    str, typer.Argument(metavar="RELEASE", help="Its id, or an application for its newest.")
]
StageOption = Annotated[
    str,
    typer.Option(help="The stage; needed only when more than one waits.", show_default=False),
]


def release(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What the build wrote.", dir_okay=False)
    ] = Path("release.json"),
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow it until it is over.")
    ] = False,
    timeout_seconds: Annotated[
        float | None,
        typer.Option("--timeout", min=1, help="Give up watching after so many seconds."),
    ] = None,
) -> None:
    """Release an artifact.

    Starts the release state machine, as the pipeline does.

    \b
    Examples:
      tidegate release
      tidegate release release.json --watch --timeout 3600
    """
    here: Context = context.obj
    artifact = read_artifact_ref(file)
    backend = here.connect()
    execution = backend.start(artifact)
    say(f"Started {execution}")
    release_id = _await_number(here, backend.ledger, execution)
    if not release_id:
        say("It has no number yet: `tidegate list` will show it.")
        return
    say(f"It is {release_id}. To follow it: {command('get', release_id, watch=True)}")
    if watch:
        from tidegate.cli.showing import follow_release, standing

        raise typer.Exit(standing(follow_release(here, release_id, timeout_seconds)))


def approve(
    context: typer.Context,
    release_id: ReleaseArgument,
    stage: StageOption = "",
    reason: Annotated[str, typer.Option(help="Kept in the record.", show_default=False)] = "",
) -> None:
    """Approve a stage that waits for approval.

    \b
    You approve under your IAM identity. It is bound to what `get` shows: should
    the artifact or the stack change, the approval is void.

    \b
    Examples:
      tidegate approve hello-4
      tidegate approve hello-4 --stage prod --reason "load test was fine"
    """
    here: Context = context.obj
    view = _awaiting(here, release_id, stage)
    name = _the_stage(view, stage)
    _say_what_changes(view, name)
    say(here.connect().operate("approve", view.id, name, reason, shown=_shown(view, name)))
    say(f"To stop it: {command('abort', view.id)}")


def reject(
    context: typer.Context,
    release_id: ReleaseArgument,
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")],
    stage: StageOption = "",
) -> None:
    """Reject a stage that waits for approval.

    The release ends, and what is live stays live.

    \b
    Examples:
      tidegate reject hello-4 --reason "not before the sale"
    """
    here: Context = context.obj
    view = _awaiting(here, release_id, stage)
    _operate(here, "reject", view.id, _the_stage(view, stage), reason)


def abort(
    context: typer.Context,
    release_id: ReleaseArgument,
    reason: Annotated[str, typer.Option(help="Why; kept in the record.")],
) -> None:
    """Abort a release that is under way.

    Traffic goes back to the stable version at once, then the stack follows.

    \b
    Examples:
      tidegate abort hello-4 --reason "support reports wrong prices"
    """
    from tidegate.cli.reading import find_release

    here: Context = context.obj
    found = find_release(here.connect().ledger, release_id)
    _operate(here, "abort", found.id, "", reason)
    say(f"To follow it: {command('get', found.id, watch=True)}")


def read_artifact_ref(file: Path) -> ArtifactRef:
    """The content of ``release.json``. Raises ``InputError``."""
    from pydantic import ValidationError

    from tidegate.core.model.plan import ArtifactRef
    from tidegate.core.text.plaintext import require_plain

    try:
        artifact = ArtifactRef.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"There is no file {file}.",
            remedy="`tidegate build --bucket BUCKET` writes release.json.",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{file}: {place or 'content'}: {first['msg']}.",
            remedy="Give the release.json that the build wrote.",
        ) from error
    require_plain(str(file), artifact.model_dump())
    return artifact


def _awaiting(here: Context, release_id: str, stage: str) -> ReleaseView:
    """The release, when a stage of it waits for people. Raises ``InputError``."""
    from tidegate.cli.reading import read_again

    view = read_again(here.connect().ledger, release_id, here.now())
    if not stage and not view.awaiting:
        raise InputError(
            f"No stage of {view.id} waits for approval; it is {view.phase.value}.",
            remedy=f"`tidegate get {view.id}` shows it.",
        )
    return view


def _the_stage(view: ReleaseView, stage: str) -> str:
    """The stage that was named, or the only one that waits. Raises ``InputError``."""
    names = [waiting.name for waiting in view.awaiting]
    if stage:
        return stage
    if len(names) > 1:
        raise InputError(
            f"{view.id} waits for approval of {' and '.join(names)}.",
            remedy="Name one with --stage.",
        )
    return names[0]


def _shown(view: ReleaseView, stage: str) -> str:
    """The digest of what this stage asks for; "" when it asks for nothing."""
    return next((one.shown for one in view.stages if one.name == stage), "")


def _say_what_changes(view: ReleaseView, stage: str) -> None:
    from tidegate.cli import text
    from tidegate.core.approval.votes import why_one_more

    artifact = view.artifact
    say(f"{view.id} in {stage}: {text.commit(artifact.commit)} {artifact.subject}")
    for approval in (s.approval for s in view.stages if s.name == stage):
        if approval and (why := why_one_more(approval.doubts)):
            say(f"  It is not certain who wrote this: {why}")
    rollouts = [r for s in view.stages if s.name == stage for r in s.rollouts]
    for rollout in rollouts:
        for gate in rollout.gates:
            say(f"  {rollout.target}  changes its own gates: {gate}")
        for line in rollout.security:
            say(f"  {rollout.target}  security: {line.logical_id} {line.what}")
        for said in rollout.unheeded:
            say(f"  {rollout.target}  {said}")
        for change in rollout.changes:
            lost = f": {change.irreversible}, irreversible" if change.irreversible else ""
            what = f"{change.change} {change.logical_id} ({change.type}){lost}"
            say(f"  {rollout.target}  {what}")
        for alarm in rollout.firing_before:
            say(f"  {rollout.target}  alarm {alarm} fires already")


def _operate(here: Context, verb: str, release_id: str, stage: str, reason: str) -> None:
    say(here.connect().operate(verb, release_id, stage, reason))


def _await_number(here: Context, ledger: Ledger, execution: str) -> str:
    """The id of the release that was just started; "" when it takes too long to get one."""
    from tidegate.cli.reading import find_started

    for _ in range(_NUMBERED_WITHIN_SECONDS):
        if found := find_started(ledger, execution):
            return found.id
        here.pause(1.0)
    return ""


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    for verb in (release, approve, reject, abort):
        app.command()(verb)
