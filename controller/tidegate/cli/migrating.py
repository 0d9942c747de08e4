"""The verb that shows what becomes of a template before anybody moves to Tidegate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import Output
from tidegate.cli.terminal import say, say_json
from tidegate.core.errors import InputError

if TYPE_CHECKING:
    from tidegate.build.migration import Migration
    from tidegate.core.model.artifact import TemplateDefaults


def migrate(
    template: Annotated[
        Path, typer.Argument(metavar="TEMPLATE", help="A SAM or CloudFormation template.")
    ] = Path("template.yaml"),
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter of the stage. May be repeated."),
    ] = None,
    diff: Annotated[bool, typer.Option(help="Show the templates' difference, too.")] = True,
    write: Annotated[
        bool,
        typer.Option("--write", help="Change the hooks that report to CodeDeploy, as is shown."),
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Show what Tidegate makes of a template that CodeDeploy or CloudFormation releases now.

    The template itself is not changed, and nothing is sent anywhere. A hook that was written for
    CodeDeploy must return its status instead of reporting it: that line is shown as a difference,
    and with --write it is changed, in Python and in JavaScript.

    \b
    Examples:
      tidegate migrate template.yaml
      tidegate migrate template.yaml --parameter Stage=prod --output json
      tidegate migrate template.yaml --write
    """
    from tidegate.build.migration import migrate_template

    migration = migrate_template(template, dict(_parameters(parameter or ())))
    if write:
        for hook in migration.hooks:
            hook.write()
    if output is Output.JSON:
        say_json(migration.to_json())
        return
    say(*_words(migration), *_on_hooks(migration, written=write))
    if diff:
        say("", *migration.diff.splitlines())


def _on_hooks(migration: Migration, *, written: bool) -> Iterator[str]:
    """The difference of each hook that can be changed; what is left is among the notices."""
    changes = {str(hook.path): hook.diff.splitlines() for hook in migration.hooks if hook.diff}
    if changes:
        yield ""
        yield f"{'Changed' if written else '`--write` changes'} {', '.join(changes)}:"
        for lines in changes.values():
            yield from lines


def _parameters(given: Iterable[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, separator, value = text.partition("=")
        if not separator:
            raise InputError(f'"{text}" is no parameter.', remedy="Write it as NAME=VALUE.")
        yield name, value


def _words(migration: Migration) -> Iterator[str]:
    yield f"Aliases that releases move: {', '.join(migration.aliases) or 'none'}"
    yield from _defaults(migration.defaults)
    for change in migration.changes:
        yield ""
        yield f"{change.resource} ({change.type}) is {change.change}"
        yield from (f"  {reason}" for reason in change.reasons)
    if migration.notices:
        yield ""
        yield "Not taken over, or not as it was:"
        yield from (f"  {notice}" for notice in migration.notices)
    else:
        yield ""
        yield "Everything is taken over."


def _defaults(defaults: TemplateDefaults) -> Iterator[str]:
    """What the manifest need not say, because the template does."""
    if not defaults.enabled:
        yield "DeploymentPreference is off: all at once, unless the manifest has a strategy"
        return
    yield f"Strategy: {defaults.strategy or 'all-at-once'}{_steps(defaults)}"
    yield f"Hooks before traffic: {', '.join(defaults.pre_traffic) or 'none'}"
    yield f"Hooks after traffic: {', '.join(defaults.post_traffic) or 'none'}"
    yield f"Alarms: {', '.join(defaults.alarms) or 'none'}"
    told = (f"{told.topic} ({', '.join(told.events)})" for told in defaults.notifications)
    yield f"Notifications: {', '.join(told) or 'none'}"


def _steps(defaults: TemplateDefaults) -> str:
    steps = defaults.steps or ()
    shown = ", ".join(f"{step.weight:.0%} for {step.bake_seconds // 60} min" for step in steps)
    return f" ({shown}, then all)" if shown else ""


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(migrate)
