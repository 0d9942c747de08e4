"""Verbs of the embedded AWS: up, down, env, lambda, traffic, demo."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.console import console, end_on_sigterm
from tidegate.cli.terminal import say

if TYPE_CHECKING:
    from tidegate_embedded.process import LocalAws

app = typer.Typer(
    help="An AWS on this machine, without an account: start it, stop it, see what Tidegate does.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FOLDER = Path(".tidegate")
_TELL_EVERY_SECONDS = 5.0


@app.command()
def up(
    application: Annotated[
        Path | None,
        typer.Argument(help="Folder of an application with its tidegate.yaml.", file_okay=False),
    ] = None,
    port: Annotated[int, typer.Option(help="Another one is taken when it is in use.")] = 4566,
) -> None:
    """Start the embedded AWS with Tidegate in it, and with a pipeline for an application.

    \b
    Examples:
      tidegate local up
      tidegate local up ~/shop && git -C ~/shop push "$PWD/.tidegate/origin.git" main
      eval "$(tidegate local env)"
    """
    from tidegate.build.regions import aws_partitions
    from tidegate.core.model.manifest import parse_manifest
    from tidegate_embedded import git, install, process

    end_on_sigterm()
    path = application / "tidegate.yaml" if application else None
    manifest = (
        parse_manifest(path.read_text("utf-8"), str(path), aws_partitions()) if path else None
    )
    aws = process.start(FOLDER, port=port, keep=True)
    try:
        installer = install.Installer(aws, install.find_checkout(), FOLDER / "install.log")
        say(f"The embedded AWS answers at {aws.endpoint}. Installing Tidegate ...")
        accounts = install.target_accounts(manifest) if manifest else [install.CONTROLLER_ACCOUNT]
        installer.controller(accounts)
        if manifest:
            repository = f"local/{manifest.application}"
            bare = (FOLDER / "origin.git").resolve()
            shutil.rmtree(bare, ignore_errors=True)
            variables = aws.environment(install.CONTROLLER_ACCOUNT)
            git.create(bare, full_repository_id=repository, variables=variables)
            installer.application(manifest, repository)
            say(f"To release {manifest.application}: git push {bare} HEAD:main")
    except BaseException:
        aws.stop()
        raise
    say('Ready. To use it: eval "$(tidegate local env)"; to stop it: tidegate local down')


@app.command()
def down() -> None:
    """Stop the embedded AWS and all that it started; what it held is gone."""
    from tidegate_embedded import process

    process.get(FOLDER).stop()
    say("Stopped.")


@app.command()
def env() -> None:
    """Print the variables that point AWS clients at the embedded AWS.

    \b
    Examples:
      eval "$(tidegate local env)"
    """
    import sys

    from tidegate_embedded import process
    from tidegate_embedded.install import CONTROLLER_ACCOUNT

    for name, value in process.get(FOLDER).environment(CONTROLLER_ACCOUNT).items():
        say(f"export {name}={_for_shell(value)}")
    say(f"export PATH={_for_shell(str(Path(sys.executable).parent))}:$PATH")


@app.command("lambda")
def serve_lambda(
    build_dir: Annotated[
        Path, typer.Option(help="What `sam build` wrote.", exists=True, file_okay=False)
    ] = Path(".aws-sam/build"),
    port: Annotated[int, typer.Option(help="Another one is taken when it is in use.")] = 3001,
    parameter: Annotated[
        list[str] | None, typer.Option(help="A parameter of the template, as NAME=VALUE.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for its files, and its credentials.", show_default=False),
    ] = None,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="Stop when the parent process is gone.")
    ] = False,
) -> None:
    """Serve the functions of a `sam build` by the Lambda API, without containers, until Ctrl-C.

    The first line of the output is the endpoint. Functions have the names that `sam local` gives
    them; one that has `AutoPublishAlias` has version 1 and that alias. Whoever signs may invoke
    them, with whatever credentials; all other calls need the secret in the folder of --state.

    \b
    Examples:
      sam build && tidegate local lambda
      aws lambda invoke --endpoint-url http://127.0.0.1:3001 --function-name Cart:live answer.json
    """
    import os
    import threading

    from tidegate.core.errors import InputError
    from tidegate_embedded.endpoint.serve import serving

    end_on_sigterm()
    parent = os.getppid()
    parameters = {}
    for pair in parameter or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--parameter {pair!r} has no value.", remedy="Write NAME=VALUE.")
        parameters[name] = value
    try:
        with serving(build_dir, port=port, parameters=parameters, state=state) as served:
            say(served.url)
            for function in served.functions:
                say(f"  {function.name}" + (f":{function.alias}" * bool(function.alias)))
            for function in served.left_out:
                what = function.runtime or "an image"
                say(f"  not {function.name}: {what} needs `sam local` and containers")
            while not threading.Event().wait(1.0):
                if exit_with_parent and os.getppid() != parent:
                    return
    except KeyboardInterrupt:
        return


@app.command()
def traffic(
    application: Annotated[str, typer.Argument(help="An application that is live.")],
    stage: Annotated[str, typer.Argument(help="One of its stages.")],
    rate: Annotated[float, typer.Option(min=0.1, help="Requests per second.")] = 40.0,
    payload: Annotated[str, typer.Option(help="What to send, as JSON.")] = "{}",
) -> None:
    """Invoke a live alias at a steady rate, until Ctrl-C.

    \b
    Examples:
      tidegate local traffic hello prod --rate 20 --payload '{"name": "Ada"}'
    """
    import json

    from tidegate_embedded import process
    from tidegate_embedded.demo.traffic import Traffic

    aws = process.get(FOLDER)
    account, function, alias = _live_alias(aws, application, stage)
    from tidegate.core.ports import AliasRef

    users = Traffic(
        lambda: aws.client("lambda", account),
        AliasRef(function, alias),
        rate=rate,
        payloads=[json.loads(payload)],
    )
    with users:
        while True:
            time.sleep(_TELL_EVERY_SECONDS)
            for version, counts in users.counts().items():
                say(f"version {version}: {counts.invocations} requests, {counts.errors} failed")


@app.command()
def demo(
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Wait for your own approvals.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running, to commit to the example yourself.")
    ] = False,
) -> None:
    """Let four commits travel through the pipeline: two good ones, and two that are caught.

    Exits with 1 when anything came out differently from what it had to.
    """
    from tidegate_embedded.demo.run import Demo

    end_on_sigterm()
    shown = Demo(FOLDER, console(), interactive=interactive, keep=keep).run()
    if shown.problems:
        raise typer.Exit(1)


def _for_shell(value: str) -> str:
    """As one word for a shell, in ASCII whatever the terminal: a folder may be named as it will."""
    import os
    import shlex

    if value.isascii() and value.isprintable():
        return shlex.quote(value)
    return "$'" + "".join(f"\\x{byte:02x}" for byte in os.fsencode(value)) + "'"


def _live_alias(aws: LocalAws, application: str, stage: str) -> tuple[str, str, str]:
    """Account, function and alias that a stage serves. Raises ``NotFound``."""
    import os

    from tidegate.cli.backend import Settings, connect
    from tidegate.core.errors import NotFound
    from tidegate.core.model.record import Live, application_partition
    from tidegate_embedded.install import CONTROLLER_ACCOUNT, CONTROLLER_STACK

    os.environ.update(aws.environment(CONTROLLER_ACCOUNT))
    ledger = connect(Settings(stack=CONTROLLER_STACK)).ledger
    for item in ledger.query(application_partition(application), f"LIVE#{stage}#"):
        if isinstance(item, Live) and item.versions:
            function, _, alias = next(iter(item.versions)).rpartition(":")
            return item.target.partition("/")[0], function, alias
    raise NotFound(
        f"nothing of {application} is live in {stage}.",
        remedy="`tidegate list` shows what there is.",
    )
