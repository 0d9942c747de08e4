"""No secret of an application is kept by Tidegate, and no log for ever."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from support.applications import MANIFEST, make_application
from support.shops import MakeShop
from support.story import PROD, Story
from tidegate.cli.app import app
from tidegate.core.insight.release_view import release_view
from tidegate.core.model.record import Item
from tidegate.core.ports import Invocation
from tidegate.testing.application import MemoryApplication
from tidegate.testing.memory import MemoryBus

SECRET = "correct horse battery staple"
LOGGED = "connecting with password=hunter2"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Password: {Type: String, NoEcho: true}
Resources:
  Greeter:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: greeter/
      Handler: app.handler
      Runtime: python3.11
      AutoPublishAlias: live
      Environment: {Variables: {PASSWORD: !Ref Password}}
"""
REFERENCE = "{{resolve:secretsmanager:shop/password}}"


# What CloudFormation does not echo


@pytest.mark.cloud
def test_nothing_that_is_kept_or_told_holds_what_is_not_echoed(
    make_shop: MakeShop,
    client: Callable[[str], Any],
    bucket: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "tidegate")
    client("secretsmanager").create_secret(Name="shop/password", SecretString=SECRET)
    shop = make_shop(f', parameters: {{Password: "{REFERENCE}"}}')
    (shop.folder / "template.yaml").write_text(TEMPLATE)
    bus = MemoryBus()
    shop.machines.ports = dataclasses.replace(shop.ports, bus=bus)

    assert [shop.release(code) for code in ("one", "two")] == ["succeeded"] * 2, shop.ended().cause

    deployed = client("lambda").get_function_configuration(FunctionName=shop.function)
    assert deployed["Environment"]["Variables"] == {"PASSWORD": SECRET}
    kept = [
        *(json.dumps(row) for row in client("dynamodb").scan(TableName="record")["Items"]),
        *stored(client("s3"), bucket),
        *map(str, bus.events),
        *(str(vars(record)) for record in caplog.records if record.name.startswith("tidegate")),
        *capfd.readouterr(),
    ]
    assert any(REFERENCE in one for one in kept)  # this is what they show
    assert not [one for one in kept if SECRET in one]


def stored(s3: Any, bucket: str) -> Iterator[str]:
    """The text of every object in every version, of archives that of each file."""
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        of = {"Key": version["Key"], "VersionId": version["VersionId"]}
        content = s3.get_object(Bucket=bucket, **of)["Body"].read()
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                yield from (archive.read(name).decode() for name in archive.namelist())
        else:
            yield content.decode()


def test_no_release_of_an_artifact_that_holds_a_secret_brings_it_into_the_record() -> None:
    """An older build, or one of somebody else's making, may not have looked."""
    story = Story()
    manifest = re.sub("Stage: prod", f"Stage: {SECRET}", story.application.manifest)
    story.application.manifest = manifest
    template = MemoryApplication._template

    def hiding(self: MemoryApplication, code: str, role: str) -> Any:
        made = dict(template(self, code, role))
        made["Parameters"]["Stage"] = {"Type": "String", "NoEcho": True}
        return made

    story.application.__class__ = type("Hiding", (MemoryApplication,), {"_template": hiding})
    story.application.manifest = manifest.replace("Stage: test", f"Stage: '{REFERENCE}'")

    assert story.release("one") == "failed"

    assert story.get(1).error == "InputError"
    assert (
        "stages[1].parameters.Stage: the template declares Stage with NoEcho" in story.get(1).cause
    )
    assert SECRET not in str([*story.world.ledger._rows.values(), *story.world.bus.events])


def test_no_secret_in_clear_text_goes_unnoticed_because_nobody_declared_it_one(
    tmp_path: Path,
) -> None:
    folder = make_application(tmp_path / "shop", "plain")
    declared = TEMPLATE.replace("NoEcho: true", "Default: none").replace("3.11", "3.12")
    (folder / "template.yaml").write_text(declared)
    given = f'parameters: {{Password: "{SECRET}"}}, regions:'
    (folder / "tidegate.yaml").write_text(MANIFEST.replace("regions:", given))

    said = CliRunner().invoke(app, ["validate", str(folder / "tidegate.yaml")])

    assert said.exit_code == 0, said.output
    assert "stages[0].parameters.Password has a value in clear text" in said.stderr
    assert "{{resolve:secretsmanager:<name>}}" in said.stderr
    assert SECRET not in said.output


# Logs


@pytest.fixture
def logging_hook() -> Story:
    """A release whose hook has written what it should not."""
    story = Story()
    ended = Invocation(payload={"status": "Succeeded"}, log_tail=LOGGED)
    functions = story.at(PROD).functions
    invoke = functions.invoke

    def answer(function: str, payload: Any, timeout_seconds: int) -> Invocation:
        return ended if function.endswith("Pre") else invoke(function, payload, timeout_seconds)

    functions.invoke = answer  # type: ignore[method-assign]
    assert story.release("one") == "succeeded"
    return story


def kept_of(story: Story) -> list[Item]:
    return story.items(1, "")


def test_no_item_that_stays_in_the_record_holds_the_log_of_a_hook(logging_hook: Story) -> None:
    with_log = [item for item in kept_of(logging_hook) if LOGGED in item.model_dump_json()]
    assert [item.kind for item in with_log] == ["hook-log"]
    (log,) = with_log
    until = (logging_hook.world.clock.now() + timedelta(days=14)).timestamp()
    assert log.expires_at is not None
    assert until - 24 * 3600 < log.expires_at <= until


def test_no_view_shows_a_log_that_the_table_has_not_yet_forgotten(logging_hook: Story) -> None:
    now, items = logging_hook.world.clock.now(), kept_of(logging_hook)
    assert LOGGED in release_view(logging_hook.get(1), items, now).model_dump_json()
    later = now + timedelta(days=14)
    assert LOGGED not in release_view(logging_hook.get(1), items, later).model_dump_json()
