"""The embedded AWS as a whole: it starts, serves several accounts, and stops without a trace."""

import http.client
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest

from support.waiting import eventually, wait_until
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.credentials import read_secret

pytestmark = pytest.mark.cloud


def test_answers_as_the_account_that_the_access_key_names(aws: EmbeddedAws, account: str) -> None:
    identity = aws.client("sts", account=account).get_caller_identity()

    assert identity["Account"] == account


def test_keeps_accounts_and_regions_apart(aws: EmbeddedAws, account: str) -> None:
    topics = aws.client("sns", account=account, region="us-east-1")
    topics.create_topic(Name="alerts")

    assert [topic["TopicArn"] for topic in topics.list_topics()["Topics"]] == [
        f"arn:aws:sns:us-east-1:{account}:alerts"
    ]
    assert aws.client("sns", account=account, region="eu-west-1").list_topics()["Topics"] == []
    assert (
        aws.client("sns", account="999999999999", region="us-east-1").list_topics()["Topics"] == []
    )


def test_an_assumed_role_acts_in_its_own_account(aws: EmbeddedAws, account: str) -> None:
    target = str(int(account) + 500_000_000_000)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    aws.client("iam", account=target).create_role(
        RoleName="tidegate", AssumeRolePolicyDocument=json.dumps(trust)
    )
    credentials = aws.client("sts", account=account).assume_role(
        RoleArn=f"arn:aws:iam::{target}:role/tidegate", RoleSessionName="test"
    )["Credentials"]
    sns = aws.cloud.new_client(
        "sns",
        region="eu-west-1",
        access_key=credentials["AccessKeyId"],
        secret_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
    )

    assert sns.create_topic(Name="alerts")["TopicArn"] == f"arn:aws:sns:eu-west-1:{target}:alerts"


def test_serves_as_a_process_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate_embedded", "--port", "0", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        sts = boto3.client(
            "sts",
            endpoint_url=endpoint,
            region_name="eu-west-1",
            aws_access_key_id="123456789012",
            aws_secret_access_key=read_secret(tmp_path),
        )
        account = sts.get_caller_identity()["Account"]
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait()

    assert account == "123456789012"
    assert exit_code == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(endpoint)


def test_takes_another_port_when_the_wanted_one_is_in_use(aws: EmbeddedAws) -> None:
    taken = aws.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "tidegate_embedded", "--port", taken]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)

    assert endpoint.startswith("http://127.0.0.1:")
    assert endpoint != aws.endpoint


def test_a_connection_that_its_client_closed_is_closed_here_too(aws: EmbeddedAws) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
        connection.request("GET", "/_ministack/health")
        connection.getresponse().read()
        connection.close()

    wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 10)


def test_forgets_everything_when_it_stops_and_can_start_again() -> None:
    # In a process of its own, for there is one at a time in each.
    script = """
import warnings
warnings.simplefilter("error")
from tidegate_embedded.cloud import EmbeddedAws

aws = EmbeddedAws()
for _ in range(2):
    aws.start()
    topics = aws.client("sns", account="123456789012")
    assert topics.list_topics()["Topics"] == []
    topics.create_topic(Name="alerts")
    folder = aws.cloud.state_dir
    assert folder.is_dir()
    aws.stop()
    assert not folder.exists()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_plug_in_that_cannot_be_installed_leaves_nothing_open(tmp_path: Path) -> None:
    script = """
import sys, pathlib, threading, warnings
warnings.simplefilter("error")
from tidegate_embedded.cloud import Cloud, EmbeddedAws

class Broken:
    def install(self, cloud: Cloud) -> None:
        cloud.on_stop(lambda: print("stopped"))
        raise ValueError("cannot")

aws = EmbeddedAws([Broken()])
try:
    aws.start()
except ValueError as error:
    print(error, threading.active_count())
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert ended.stdout.split() == ["stopped", "cannot", "1"]
    assert ended.stderr == ""


def test_stops_with_the_process_that_started_it_when_told_so() -> None:
    script = """
import subprocess, sys
command = [sys.executable, "-m", "tidegate_embedded", "--port", "0", "--exit-with-parent"]
process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
print(process.stdout.readline(), flush=True)
"""
    parent = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    endpoint = parent.stdout.strip()

    def gone() -> bool | None:
        try:
            urllib.request.urlopen(endpoint).close()
        except urllib.error.HTTPError as answered:
            answered.close()
            return None
        except OSError:
            return True
        return None

    assert eventually(gone)
