"""Nobody but the person who started the dashboard gets its key, or does anything by it."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from attacker import PAGE, Answer, port_of, send

from support.waiting import eventually, stack_status, wait_until
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

STACK = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: sk, AttributeType: S}
Outputs:
  TableName: {Value: !Ref Table}
"""
BROWSER = """#!/bin/sh
cat /proc/$$/cmdline > {seen}.partial
mv {seen}.partial {seen}
"""


@dataclass(frozen=True)
class Dashboard:
    address: str
    key: str
    arguments: str
    """What `ps` shows of the browser."""
    home: Path

    def ask(self, path: str, headers: dict[str, str], method: str = "GET") -> Answer:
        return send(self.address, method, path, headers)


@contextmanager
def dashboard(aws: EmbeddedAws, account: str, folder: Path) -> Iterator[Dashboard]:
    """`tidegate dashboard` as a person starts it, with a browser that tells its arguments."""
    cloudformation = aws.client("cloudformation", account=account)
    cloudformation.create_stack(StackName="tidegate", TemplateBody=STACK)
    assert stack_status(cloudformation, "tidegate") == "CREATE_COMPLETE"
    browser, seen, home = folder / "browser", folder / "seen", folder / "home"
    home.mkdir()
    browser.write_text(BROWSER.format(seen=seen))
    browser.chmod(0o755)
    variables = aws.environment(account=account) | {"HOME": str(home), "BROWSER": str(browser)}
    command = [sys.executable, "-m", "tidegate.cli", "dashboard", "--port", "0"]
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            assert running.stdout is not None
            said = running.stdout.readline()
            found = re.search(r"(http://127\.0\.0\.1:\d+)/#key=(\S+)", said)
            assert found, said
            arguments = eventually(lambda: seen.read_text() if seen.exists() else None)
            yield Dashboard(found[1], found[2], arguments, home)
        finally:
            running.terminate()


def test_no_process_shows_the_key_in_its_arguments(
    aws: EmbeddedAws, account: str, tmp_path: Path
) -> None:
    with dashboard(aws, account, tmp_path) as page:
        assert page.key not in page.arguments
        for arguments in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert page.key.encode() not in arguments.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile


def test_no_other_user_reads_the_file_that_leads_to_it_and_it_goes(
    aws: EmbeddedAws, account: str, tmp_path: Path
) -> None:
    with dashboard(aws, account, tmp_path) as page:
        (file,) = page.home.glob("*.html")
        assert file.as_uri() in page.arguments
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert f"url={page.address}/#key={page.key}" in file.read_text()
        assert page.ask("/api/applications", {"X-Tidegate-Key": "guessed"}).status == 403
        assert file.exists()
        answer = page.ask("/api/applications", {"X-Tidegate-Key": page.key})
        assert (answer.status, json.loads(answer.body)) == (200, {"applications": []})
        assert not file.exists()


def test_no_file_stays_when_no_browser_came(aws: EmbeddedAws, account: str, tmp_path: Path) -> None:
    with dashboard(aws, account, tmp_path) as page:
        assert len(list(page.home.glob("*.html"))) == 1
    wait_until(lambda: not list(page.home.glob("*.html")))


def test_no_page_elsewhere_uses_it_even_with_the_key(
    aws: EmbeddedAws, account: str, tmp_path: Path
) -> None:
    with dashboard(aws, account, tmp_path) as page:
        key = {"X-Tidegate-Key": page.key}
        assert page.ask("/api/applications", key | PAGE).status == 403
        assert page.ask("/api/applications", key | {"Sec-Fetch-Site": "same-site"}).status == 403
        assert page.ask("/api/releases/shop-1/approve", key | PAGE, "POST").status == 403
        preflight = page.ask("/api/applications", PAGE, "OPTIONS")
        assert (preflight.status, preflight.lets_pages_read) == (403, [])
        rebound = send(page.address, "GET", "/", host=f"evil.example:{port_of(page.address)}")
        assert rebound.status == 421


def test_its_own_page_may_ask(aws: EmbeddedAws, account: str, tmp_path: Path) -> None:
    with dashboard(aws, account, tmp_path) as page:
        own = {"Origin": page.address, "Sec-Fetch-Site": "same-origin"}
        led = {
            "Sec-Fetch-Site": "cross-site",  # from a file
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        }
        assert page.ask("/", led).status == 200
        assert page.ask("/page.js", own).status == 200
        assert page.ask("/api/applications", own | {"X-Tidegate-Key": page.key}).status == 200
