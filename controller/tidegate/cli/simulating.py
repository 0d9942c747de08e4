"""Verbs that try a policy before it is used: simulate, retro."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.checking import ManifestArgument, TemplateOption, make_offline_plan
from tidegate.cli.console import Output, show
from tidegate.cli.traffic import RateOption, live_profile
from tidegate.core.errors import InputError

if TYPE_CHECKING:
    from tidegate.cli.backend import Context
    from tidegate.core.model.plan import ReleasePlan, StagePlan
    from tidegate.simulate.traffic import Profile

_REGRESSIONS = ("+1%", "+5%", "2x", "5x", "100%")

StageOption = Annotated[
    str | None, typer.Option(help="Its policy; default the last stage.", show_default=False)
]


def simulate(
    context: typer.Context,
    file: ManifestArgument = Path("tidegate.yaml"),
    template: TemplateOption = None,
    stage: StageOption = None,
    requests_per_second: RateOption = None,
    error_rate: Annotated[
        str | None, typer.Option(help="What fails on stable; default 0.1%.", show_default=False)
    ] = None,
    traffic: Annotated[
        Path | None, typer.Option(help="A file with a course of traffic.", show_default=False)
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(
            metavar="FUNCTION:ALIAS",
            help="Take traffic and errors of the last day from CloudWatch.",
            show_default=False,
        ),
    ] = None,
    regression: Annotated[
        list[str] | None,
        typer.Option(help="Points (+5%) or a factor (2x); may be repeated.", show_default=False),
    ] = None,
    runs: Annotated[int, typer.Option(min=10, help="Of each policy and regression.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 1,
    presets: Annotated[
        bool, typer.Option("--presets", help="Show each preset of CodeDeploy, not only the best.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the result into this SVG.", show_default=False)
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Default: one per core.", show_default=False)
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Show what a stage's strategy and checks would catch.

    Rolls out healthy and broken releases to virtual users, with the judge and the decisions of the
    controller and a virtual clock, and shifts the same releases with CodeDeploy's presets.

    \b
    Examples:
      tidegate simulate --rps 10
      tidegate simulate --stage prod --rps 0.5 --error-rate 1% --regression +5% --regression 3x
      tidegate simulate --live hello-prod-HelloFunction-1A2B3C:live --picture simulation.svg
      tidegate simulate --traffic traffic.yaml --presets --output json
    """
    from tidegate.cli.simulateview import draw_report
    from tidegate.core.decision.evaluation import Policy
    from tidegate.simulate.picture import draw_picture
    from tidegate.simulate.traffic import Regression
    from tidegate.simulate.trial import Trial
    from tidegate.simulate.trial import simulate as run

    profile = _profile(context.obj, requests_per_second, error_rate, traffic, live)
    chosen = _stage(make_offline_plan(file, template)[0], stage)
    trial = Trial(
        policy=Policy(chosen.strategy, chosen.checks),
        profile=profile,
        regressions=[Regression.parse(one) for one in regression or _REGRESSIONS],
        runs=runs,
        seed=seed,
    )
    report = run(trial, chosen.name, processes)
    if picture is not None:
        picture.write_text(draw_picture(report), encoding="utf-8")
    show(report.model_dump(mode="json"), output, lambda: draw_report(report, presets=presets))


def retro(
    context: typer.Context,
    application: Annotated[str, typer.Argument(metavar="APPLICATION", help="Its past releases.")],
    file: ManifestArgument = Path("tidegate.yaml"),
    template: TemplateOption = None,
    stage: StageOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many releases.")] = 20,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs.")
    ] = Output.TABLE,
) -> None:
    """Show what a manifest's policy would have done with past releases.

    Each recorded rollout of the stage is decided upon anew, on the data that were seen then. Where
    the policy would have set other weights, the counts would have been others: that is marked.

    \b
    Examples:
      tidegate retro hello
      tidegate retro hello changed.yaml --stage prod --limit 50
      tidegate retro hello --output json | jq '.[] | select(.differs_at)'
    """
    from tidegate.cli.reading import newest_releases, read_decisions
    from tidegate.cli.simulateview import draw_hindsight
    from tidegate.core.decision.evaluation import policy_of
    from tidegate.core.insight.retro import replay_rollout
    from tidegate.core.model.record import Rollout

    here: Context = context.obj
    chosen = _stage(make_offline_plan(file, template)[0], stage)
    ledger = here.connect().ledger
    found = []
    for release in newest_releases(ledger, application, limit):
        items = read_decisions(ledger, release)
        rollouts = [i for i in items if isinstance(i, Rollout) and i.stage == chosen.name]
        past = (replay_rollout(policy_of(chosen, rollout), rollout, items) for rollout in rollouts)
        found += [hindsight for hindsight in past if hindsight is not None]
    rows = [hindsight.model_dump(mode="json") for hindsight in found]
    show(rows, output, lambda: draw_hindsight(found, chosen.name))


def _stage(plan: ReleasePlan, name: str | None) -> StagePlan:
    """The stage with this name, or the last one. Raises ``InputError``."""
    if name is None:
        return plan.stages[-1]
    for stage in plan.stages:
        if stage.name == name:
            return stage
    names = ", ".join(stage.name for stage in plan.stages)
    raise InputError(f'The manifest has no stage "{name}".', remedy=f"It has {names}.")


def _profile(
    here: Context,
    requests_per_second: float | None,
    error_rate: str | None,
    traffic: Path | None,
    live: str | None,
) -> Profile:
    """The traffic that was asked for, from exactly one source. Raises ``InputError``."""
    from tidegate.core.text.quantities import read_share
    from tidegate.simulate.traffic import Profile, read_profile

    given = [one for one in (requests_per_second, traffic, live) if one is not None]
    if len(given) != 1:
        raise InputError(
            "Say what traffic there is.",
            remedy="Give --rps, or --traffic with a file, or --live with a function and its alias.",
        )
    if traffic is not None:
        profile = read_profile(traffic.read_text("utf-8"), str(traffic))
    elif live is not None:
        profile = live_profile(here, live)
    else:
        profile = Profile(requests_per_second=(requests_per_second or 0.0,))
    if error_rate is None:
        return profile
    return profile.model_copy(update={"error_rate": read_share(error_rate)})


def register(app: typer.Typer) -> None:
    """Add these verbs."""
    app.command()(simulate)
    app.command()(retro)
