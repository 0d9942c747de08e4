"""An account of the embedded AWS, and what the adapters are made with in it."""

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tidegate.aws.session import Clients
from tidegate_embedded.cloud import DEFAULT_REGION, EmbeddedAws


@pytest.fixture
def client(aws: EmbeddedAws, account: str) -> Callable[[str], Any]:
    """Makes clients that act in the test's own account."""
    return lambda service: aws.client(service, account=account)


@pytest.fixture
def session(aws: EmbeddedAws, account: str, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session as a process finds it in its environment."""
    for name, value in aws.environment(account=account).items():
        monkeypatch.setenv(name, value)
    return boto3.Session(account, aws.cloud.secret, region_name=DEFAULT_REGION)


@pytest.fixture
def clients(session: boto3.Session) -> Clients:
    """The adapters' own clients, in the test's account."""
    return Clients(session)


@pytest.fixture
def bucket(client: Callable[[str], Any], account: str) -> str:
    """An empty bucket of the test's account, which keeps versions."""
    name = f"artifacts-{account}"
    client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": DEFAULT_REGION}
    )
    client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def wait() -> Callable[[], None]:
    """Lets the embedded CloudFormation work between two looks."""
    return lambda: time.sleep(0.05)
