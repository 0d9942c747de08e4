"""The verb of the build: expands, packages and stores an application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.terminal import say
from tidegate.core.text.commands import command

if TYPE_CHECKING:
    from tidegate.cli.backend import Context


def build(
    context: typer.Context,
    bucket: Annotated[
        str,
        typer.Option(
            envvar="ARTIFACT_BUCKET", help="Where artifacts are kept.", show_default=False
        ),
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The manifest.")] = Path(
        "tidegate.yaml"
    ),
    template: Annotated[
        Path | None,
        typer.Option(help="What `sam build` wrote, not the manifest's.", show_default=False),
    ] = None,
    region_bucket: Annotated[
        str,
        typer.Option(
            envvar="ARTIFACT_REGION_BUCKET",
            help="The bucket of every other region that a stage deploys to, {region} in its name.",
        ),
    ] = "",
    signing_profile: Annotated[
        str,
        typer.Option(
            envvar="SIGNING_PROFILE", help="The profile of AWS Signer that signs the packages."
        ),
    ] = "",
    output: Annotated[Path, typer.Option(help="Where to write the release's input.")] = Path(
        "release.json"
    ),
    commit: Annotated[str, typer.Option(help="The commit that is built.")] = "",
    branch: Annotated[str, typer.Option(help="Its branch.")] = "",
    author: Annotated[str, typer.Option(help="Its author.")] = "",
    subject: Annotated[str, typer.Option(help="First line of its message.")] = "",
) -> None:
    """Build an artifact, store it, write release.json.

    \b
    What a pipeline states of its source (TIDEGATE_COMMIT, TIDEGATE_BRANCH) wins
    over options, CODEBUILD_RESOLVED_SOURCE_VERSION and git. In a git checkout the
    commit has to be the one checked out, and git says who wrote it; elsewhere the
    options do, or TIDEGATE_AUTHOR and TIDEGATE_SUBJECT.

    \b
    Examples:
      tidegate build --bucket my-artifacts
      tidegate build --bucket my-artifacts-eu-west-1 --region-bucket 'my-artifacts-{region}'
      sam build && tidegate build --template .aws-sam/build/template.yaml --bucket my-artifacts
    """
    from tidegate.build.artifact import build_and_upload
    from tidegate.build.signing import PackageSigner
    from tidegate.core.model.artifact import BILL_FILE

    here: Context = context.obj
    session = here.session()
    s3, signer = session.client("s3"), None
    if signing_profile:
        signer = PackageSigner(session.client("signer"), s3, bucket, signing_profile)
    reference = build_and_upload(
        file.parent,
        bucket=bucket,
        s3=s3,
        region_bucket=region_bucket,
        s3_in=lambda region: session.client("s3", region_name=region),
        manifest=file,
        template=template,
        release_file=output,
        revision={"commit": commit, "branch": branch, "author": author, "subject": subject},
        signer=signer,
        tell=lambda notice: say(f"Note: {notice}", err=True),
    )
    say(f"Built {reference.application} {reference.digest}")
    say(f"Stored s3://{reference.bucket}/{reference.prefix}")
    statement = reference.provenance.removeprefix(f"{reference.prefix}/")
    say(f"There: its bill of materials, {BILL_FILE}, and its provenance, {statement}")
    say(f"Wrote {output}. To release it: {command('release', str(output))}")


def register(app: typer.Typer) -> None:
    """Add this verb."""
    app.command()(build)
