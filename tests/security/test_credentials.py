"""Nobody acts in the embedded AWS without the credentials that this start has made."""

import datetime
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from attacker import Answer, send, signed
from botocore.config import Config
from botocore.exceptions import ClientError

from contract.local.lambda_functions import Function
from tidegate_embedded import git, process
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.process import LocalAws

pytestmark = pytest.mark.cloud

LIST = "/2015-03-31/functions/"


def listed(aws: EmbeddedAws, headers: dict[str, str], path: str = LIST) -> Answer:
    return send(aws.endpoint, "GET", path, headers)


def test_whoever_has_them_is_served(aws: EmbeddedAws, account: str) -> None:
    headers = signed(aws.endpoint, "GET", LIST, key=account, secret=aws.cloud.secret)
    assert listed(aws, headers).status == 200


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("test", "test"),
        ("123456789012", "test"),
        ("123456789012", "any"),
        ("123456789012", "local"),
        ("123456789012", "123456789012"),
        ("000000000000", ""),
        ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ],
)
@pytest.mark.parametrize(
    ("service", "ask"),
    [
        ("sts", "get_caller_identity"),
        ("s3", "list_buckets"),
        ("lambda", "list_functions"),
        ("codebuild", "list_projects"),
        ("dynamodb", "list_tables"),
        ("cloudwatch", "list_metrics"),
    ],
)
def test_nobody_gets_in_with_credentials_that_everybody_knows(
    aws: EmbeddedAws, key: str, secret: str, service: str, ask: str
) -> None:
    client = aws.cloud.new_client(
        service, region="eu-west-1", access_key=key, secret_key=secret or "-"
    )
    with pytest.raises(ClientError) as refused:
        getattr(client, ask)()
    client.close()
    assert refused.value.response["Error"]["Code"] in {
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    }


def test_nobody_gets_in_unsigned(aws: EmbeddedAws) -> None:
    assert listed(aws, {}).status == 403
    assert listed(aws, {"Authorization": "AWS test:signature"}).status in {400, 403}
    assert listed(aws, {}, f"{LIST}?AWSAccessKeyId=123456789012").status == 403


def test_nobody_sends_another_body_or_path_under_a_signature_that_was_seen(
    aws: EmbeddedAws, account: str
) -> None:
    key = {"key": account, "secret": aws.cloud.secret, "service": "sqs"}
    target = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "AmazonSQS.CreateQueue",
    }
    seen, other = '{"QueueName": "mine"}', '{"QueueName": "other"}'
    headers = signed(aws.endpoint, "POST", "/", headers=target, body=seen, **key)
    assert send(aws.endpoint, "POST", "/", headers, other).status == 403
    assert send(aws.endpoint, "POST", "/", headers | {"X-Amz-Date": ""}, seen).status in {400, 403}
    assert send(aws.endpoint, "POST", "/x?y=z", headers, seen).status == 403
    assert not aws.client("sqs", account=account).list_queues().get("QueueUrls")
    assert send(aws.endpoint, "POST", "/", headers, seen).status == 200


def test_nobody_sends_another_object_under_the_digest_that_was_signed(
    aws: EmbeddedAws, account: str
) -> None:
    s3 = aws.client("s3", account=account)
    bucket = f"objects-{account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    digest = {"X-Amz-Content-SHA256": "0" * 64}
    headers = signed(
        aws.endpoint,
        "PUT",
        f"/{bucket}/key",
        key=account,
        secret=aws.cloud.secret,
        service="s3",
        headers=digest,
        body=b"honest",
    )
    assert send(aws.endpoint, "PUT", f"/{bucket}/key", headers, b"other").status in {400, 403}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_nobody_acts_as_an_account_whose_signature_is_not_his(
    aws: EmbeddedAws, account: str
) -> None:
    role = assumed(aws, account)
    headers = signed(
        aws.endpoint,
        "GET",
        LIST,
        key=role["AccessKeyId"],
        secret=role["SecretAccessKey"],
        token=role["SessionToken"],
    )
    algorithm, _, rest = headers["Authorization"].partition(" ")
    other = f"{algorithm} Credential=999999999999/20260101/eu-west-1/lambda/aws4_request, {rest}"
    assert listed(aws, headers).status == 200
    assert listed(aws, headers | {"Authorization": other}).status in {400, 403}


def assumed(aws: EmbeddedAws, account: str) -> Any:
    aws.client("iam", account=account).create_role(RoleName="any", AssumeRolePolicyDocument="{}")
    return aws.client("sts", account=account).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/any", RoleSessionName="session"
    )["Credentials"]


def test_nobody_takes_over_a_session_without_its_token_or_secret(
    aws: EmbeddedAws, account: str
) -> None:
    role = assumed(aws, account)
    key, secret, token = role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"]
    for wrong in (
        {"secret": secret, "token": None},
        {"secret": secret, "token": "another"},
        {"secret": aws.cloud.secret, "token": token},
    ):
        assert listed(aws, signed(aws.endpoint, "GET", LIST, key=key, **wrong)).status == 403


def test_nobody_uses_an_address_for_other_than_it_was_made_for(
    aws: EmbeddedAws, account: str
) -> None:
    s3 = aws.client("s3", account=account)
    bucket = f"presigned-{account}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="a", Body=b"for you")
    s3.put_object(Bucket=bucket, Key="b", Body=b"for nobody")
    signer = aws.cloud.new_client(
        "s3", region="eu-west-1", access_key=account, config=Config(signature_version="s3v4")
    )
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    signer.close()
    path = url.removeprefix(aws.endpoint)
    assert send(aws.endpoint, "GET", path).body == b"for you"
    assert send(aws.endpoint, "GET", path.replace("/a?", "/b?")).status == 403
    assert send(aws.endpoint, "DELETE", path).status == 403
    assert send(aws.endpoint, "GET", path.replace("Expires=3600", "Expires=x")).status == 403


def test_nobody_uses_a_signature_of_another_day(
    aws: EmbeddedAws, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: yesterday)
    headers = signed(aws.endpoint, "GET", LIST, key=account, secret=aws.cloud.secret)
    monkeypatch.undo()
    assert listed(aws, headers).status in {400, 403}


# Where the secret is, and is not


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An embedded AWS in a process of its own, as `tidegate local up` starts it."""
    folder = tmp_path_factory.mktemp("here") / ".tidegate"
    folder.mkdir()
    command = [sys.executable, "-m", "tidegate_embedded", "--port", "0"]
    command += ["--state", str(folder / "state")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        found = LocalAws(running.stdout.readline().strip(), running.pid, str(folder))
        (folder / process.STATE_FILE).write_text(json.dumps(asdict(found)))
        yield found
        running.terminate()


def secret_of(running: LocalAws) -> str:
    return running.environment("111111111111")["AWS_SECRET_ACCESS_KEY"]


def test_no_other_user_reads_the_secret(started: LocalAws, tmp_path: Path) -> None:
    files = [path for path in Path(started.folder).rglob("*") if path.is_file()]
    readable = [path for path in files if secret_of(started).encode() in path.read_bytes()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in readable] == [0o600]
    git.create(
        tmp_path / "origin.git",
        full_repository_id="a/b",
        variables=started.environment("111111111111"),
    )
    hook = tmp_path / "origin.git" / "hooks" / "post-receive"
    assert stat.S_IMODE(hook.stat().st_mode) == 0o700


def test_no_process_shows_the_secret_in_its_arguments(started: LocalAws) -> None:
    client = started.client("lambda", "111111111111")
    assert client.list_functions()["Functions"] == []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert secret_of(started).encode() not in arguments.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile


def test_no_secret_of_an_earlier_start_works(started: LocalAws, aws: EmbeddedAws) -> None:
    assert secret_of(started) != aws.cloud.secret
    headers = signed(started.endpoint, "GET", LIST, key="111111111111", secret=aws.cloud.secret)
    assert send(started.endpoint, "GET", LIST, headers).status == 403


def test_the_command_line_hands_out_what_works(started: LocalAws) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tidegate.cli", "local", "env"],
        cwd=Path(started.folder).parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    asks = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    answer = subprocess.run(
        ["/bin/sh", "-c", f'{said}\nexec {sys.executable} -c "{asks}"'],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": os.environ["HOME"]},
    )
    assert answer.stdout.strip() == "111111111111"


def test_a_function_of_one_start_can_call_it(aws: EmbeddedAws, account: str) -> None:
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    return boto3.client('sts').get_caller_identity()['Account']\n"
    )
    role = f"arn:aws:iam::{account}:role/any"
    functions = Function.create(aws, account, code, name="asks", Timeout=60, Role=role).client
    answer = functions.invoke(FunctionName="asks")
    assert json.load(answer["Payload"]) == account
