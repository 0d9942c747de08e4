"""The gateway: routes come before ministack, and see who calls from where."""

import threading
from collections.abc import Iterator

import pytest

from support.waiting import HANGS_AFTER_SECONDS
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.gateway import Request, Response

pytestmark = pytest.mark.cloud


class Recorder:
    """A route for one made-up operation of KMS."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer = Response.json({"KeyMetadata": {"KeyId": "mine"}})
        self.together: threading.Barrier | None = None

    def matches(self, request: Request) -> bool:
        return request.target == "TrentService.DescribeKey" and b"route-test" in request.body

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.together is not None:
            self.together.wait(timeout=HANGS_AFTER_SECONDS)
        return self.answer


@pytest.fixture
def recorder(aws: EmbeddedAws) -> Iterator[Recorder]:
    route = Recorder()
    aws.cloud.routes.insert(0, route)
    yield route
    aws.cloud.routes.remove(route)


def test_a_route_answers_in_place_of_ministack(
    aws: EmbeddedAws, account: str, recorder: Recorder
) -> None:
    key = aws.client("kms", account=account, region="us-east-2").describe_key(KeyId="route-test")

    assert key["KeyMetadata"]["KeyId"] == "mine"
    (request,) = recorder.requests
    assert (request.account, request.region) == (account, "us-east-2")
    assert request.json() == {"KeyId": "route-test"}


def test_what_no_route_matches_is_ministack_s(aws: EmbeddedAws, account: str) -> None:
    kms = aws.client("kms", account=account)
    key = kms.create_key()["KeyMetadata"]["KeyId"]

    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key


def test_an_error_has_its_code_and_message(
    aws: EmbeddedAws, account: str, recorder: Recorder
) -> None:
    recorder.answer = Response.error("NotFoundException", "no such key")
    kms = aws.client("kms", account=account)

    with pytest.raises(kms.exceptions.NotFoundException, match="no such key"):
        kms.describe_key(KeyId="route-test")


def test_handlers_run_side_by_side(aws: EmbeddedAws, account: str, recorder: Recorder) -> None:
    callers = 40
    recorder.together = threading.Barrier(callers)
    kms = aws.client("kms", account=account)
    threads = [
        threading.Thread(target=kms.describe_key, kwargs={"KeyId": "route-test"})
        for _ in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(recorder.requests) == callers
    assert not recorder.together.broken


def test_large_bodies_reach_ministack_whole(aws: EmbeddedAws, account: str) -> None:
    s3 = aws.client("s3", account=account)
    body = bytes(range(256)) * 40_000
    s3.create_bucket(
        Bucket=f"big-{account}", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    s3.put_object(Bucket=f"big-{account}", Key="big", Body=body)

    assert s3.get_object(Bucket=f"big-{account}", Key="big")["Body"].read() == body
