"""The verb that begins: writes manifest, hook and tests for an application that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.terminal import say

if TYPE_CHECKING:
    from tidegate.cli.scaffold import Scaffold

_TEMPLATES = ("template.yaml", "template.yml")
_NO_ACCOUNT = "000000000000"


def init(
    folder: Annotated[
        Path, typer.Argument(help="The application's folder.", file_okay=False, exists=True)
    ] = Path(),
    template: Annotated[
        Path | None,
        typer.Option(help="The template, from the folder. Default: template.yaml"),
    ] = None,
    application: Annotated[
        str | None, typer.Option(help="Its name. Default: that of the folder.", show_default=False)
    ] = None,
    test_account: Annotated[str, typer.Option(help="Account of stage test.")] = _NO_ACCOUNT,
    prod_account: Annotated[str, typer.Option(help="Account of stage prod.")] = _NO_ACCOUNT,
    target_region: Annotated[
        str, typer.Option(envvar="AWS_REGION", help="Region of the stages.")
    ] = "eu-west-1",
) -> None:
    """Write manifest, validation hook and tests for a SAM application.

    Reads its template and adds to it what a release needs; no line of it is changed. Files that
    are there are not overwritten. A template that names hooks, or that is not SAM's, gets none.

    \b
    Examples:
      tidegate init
      tidegate init services/shop --test-account 222222222222 --prod-account 333333333333
    """
    from tidegate.build.regions import aws_partitions
    from tidegate.cli.checking import make_offline_plan
    from tidegate.cli.scaffold import Place, scaffold
    from tidegate.core.errors import InputError
    from tidegate.core.model.regions import unknown_region

    if said := unknown_region(target_region, aws_partitions()):
        raise InputError(f"--target-region: {said[0]}", remedy=said[1])
    folder = folder.resolve()
    template = template or _find_template(folder)
    places = [
        Place("test", test_account, target_region),
        Place("prod", prod_account, target_region),
    ]
    made = scaffold(folder, template, application or _name_of(folder), places)
    _refuse_overwriting(folder, made)
    for path, text in made.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        say(f"Wrote {path}")
    (folder / template).write_text(made.template, encoding="utf-8")
    for addition in made.added:
        say(f"Added to {template}: {addition}")
    make_offline_plan(folder / "tidegate.yaml", None)
    if _NO_ACCOUNT in {test_account, prod_account}:
        say("Set the accounts of the stages in tidegate.yaml.")
    say("It is valid. To see more: tidegate plan; python -m pytest tests/test_release.py")


def _find_template(folder: Path) -> Path:
    from tidegate.core.errors import InputError

    for name in _TEMPLATES:
        if (folder / name).is_file():
            return Path(name)
    raise InputError(
        f"{folder} has no {' or '.join(_TEMPLATES)}.", remedy="Name the template: `--template`."
    )


def _name_of(folder: Path) -> str:
    """The folder's name as an application may be called."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:40].rstrip("-")
    return name if name[:1].isalpha() else f"app-{name}".rstrip("-")[:40]


def _refuse_overwriting(folder: Path, made: Scaffold) -> None:
    from tidegate.core.errors import InputError

    if present := [str(path) for path in made.files if (folder / path).exists()]:
        raise InputError(
            f"there is already {', '.join(present)} in {folder}.",
            remedy="Move it away first; nothing was written.",
        )


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(init)
