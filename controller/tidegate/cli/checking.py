"""Verbs that look at a manifest before anything runs: validate, plan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.console import Output, show
from tidegate.cli.terminal import say
from tidegate.cli.traffic import RateOption, live_profile
from tidegate.core.errors import InputError

if TYPE_CHECKING:
    from tidegate.build.artifact import Artifact
    from tidegate.cli.backend import Context
    from tidegate.core.model.artifact import ArtifactContents
    from tidegate.core.model.plan import ReleasePlan

ManifestArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The manifest.")]
TemplateOption = Annotated[
    Path | None,
    typer.Option(help="Take this template, not the manifest's.", show_default=False),
]


def validate(
    file: ManifestArgument = Path("tidegate.yaml"), template: TemplateOption = None
) -> None:
    """Check a manifest and its template.

    Both are read as a build reads them, and so is the code of hooks that were written for
    CodeDeploy. cfn-lint says what CloudFormation would refuse. Nothing is sent anywhere.

    \b
    Examples:
      tidegate validate
      tidegate validate services/hello/tidegate.yaml
    """
    from tidegate.core.planning.advice import not_done

    built, plan, _ = _build(file, template)
    contents = built.contents
    for said in not_done(plan, contents):
        say(f"Warning: {said}", err=True)
    if built.failing:
        raise InputError(
            f"{template or file.parent / contents.manifest.template}: {' '.join(built.failing)}",
            remedy="`tidegate migrate --write` makes the change where it is certain.",
        )
    stages = ", ".join(stage.name for stage in plan.stages)
    say(f"{file} is valid: {plan.release.application}, stages {stages}.")


def plan(
    context: typer.Context,
    file: ManifestArgument = Path("tidegate.yaml"),
    template: TemplateOption = None,
    requests_per_second: RateOption = None,
    live: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FUNCTION:ALIAS",
            help="Take the traffic of the last day from CloudWatch; may be repeated.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Show what a release would do, without AWS.

    With the traffic to all functions together, it says when steps that wait for samples would have
    them, and which steps would end with too few requests to judge.

    \b
    Examples:
      tidegate plan
      tidegate plan --rps 10
      tidegate plan --live hello-prod-HelloFunction-1A2B3C:live
      tidegate plan --template .aws-sam/build/template.yaml --output json
    """
    from tidegate.cli.planview import draw_plan
    from tidegate.core.planning.advice import advise
    from tidegate.core.planning.arrival import arrival
    from tidegate.core.planning.capacity import planned_warmth
    from tidegate.core.template.security import planned_security

    built, made, expanded = _build(file, template)
    contents = built.contents
    traffic = _traffic(context.obj, requests_per_second, live or [])
    expected = {} if traffic is None else {one.name: arrival(one, traffic) for one in made.stages}
    advice, security = advise(made, contents), planned_security(made, expanded)
    value = made.model_dump(mode="json", exclude={"release", "artifact"}) | {
        "application": made.release.application,
        "warm": {
            stage.name: [
                line.model_dump(mode="json") for line in planned_warmth(stage, made.aliases)
            ]
            for stage in made.stages
        },
        "advice": advice,
        "security": [line.model_dump(mode="json") for line in security],
        "expected": {name: one.model_dump(mode="json") for name, one in expected.items()},
    }
    show(value, output, lambda: draw_plan(made, advice, expected, security))


def _traffic(here: Context, requests_per_second: float | None, live: list[str]) -> float | None:
    """Requests per second as they were said, or as the aliases have them together."""
    if requests_per_second is not None and live:
        raise InputError("The traffic is said twice.", remedy="Give either --rps or --live.")
    if not live:
        return requests_per_second
    return sum(live_profile(here, alias).mean_rate for alias in live)


def make_offline_plan(
    manifest: Path, template: Path | None
) -> tuple[ReleasePlan, ArtifactContents]:
    """The plan of a release of what lies in the manifest's folder. Raises ``InputError``.

    What may be wrong with it goes to standard error.
    """
    built, plan, _ = _build(manifest, template)
    return plan, built.contents


def _build(
    manifest: Path, template: Path | None
) -> tuple[Artifact, ReleasePlan, Mapping[str, Any]]:
    """An artifact whose files are gone, the plan of a release of it, and the expanded template."""
    from tidegate.build.artifact import build_artifact, look_for_faults
    from tidegate.core.model.plan import ReleaseRef
    from tidegate.core.planning.release_plan import make_plan

    with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
        built = build_artifact(
            manifest.parent, manifest, template=template, output=Path(folder) / "build"
        )
        application = built.contents.application
        release = ReleaseRef(id=f"{application}-0", application=application, number=0)
        plan = make_plan(release, built.reference("none"), built.contents)
        unlooked = look_for_faults(built, template)
        expanded = json.loads(built.template.read_text(encoding="utf-8"))
    for warning in filter(None, (*built.warnings, unlooked)):
        say(f"Warning: {warning}", err=True)
    return built, plan, expanded


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command()(validate)
    app.command()(plan)
