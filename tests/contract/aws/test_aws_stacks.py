"""Stacks in CloudFormation keep the contract of their port."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from contract.ports.stacks import Specify, StacksContract, Wait
from tidegate.aws.session import Clients
from tidegate.aws.stacks import CloudFormationStacks, TemplateUrls
from tidegate.core.errors import ChangeSetFailed, ChangeSetStale, StackBusy, StackFailed
from tidegate.core.ports import Change, StackSpec

pytestmark = pytest.mark.cloud

NAME = "shop-test"
Put = Callable[..., str]

_ALIAS = {
    "Type": "AWS::Lambda::Alias",
    "Properties": {
        "Name": "live",
        "FunctionName": {"Ref": "Hello"},
        "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]},
    },
}
TWO_OF_ONE_NAME = {
    "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Hello"}}},
    "One": _ALIAS,
    "Other": _ALIAS,
}
"""Resources that cannot be made: two aliases of one name."""


def hello(code: str, **resources: Any) -> dict[str, Any]:
    """A template with one function, and what else is given."""
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"ZipFile": f"def handler(event, context): return {code!r}"},
            "Handler": "index.handler",
            "Runtime": "python3.12",
            "Role": "arn:aws:iam::123456789012:role/hello",
        },
    }
    return {
        "Parameters": {"Stage": {"Type": "String", "Default": ""}},
        "Resources": {"Hello": function, **resources},
    }


@pytest.fixture
def put(client: Callable[[str], Any], bucket: str) -> Put:
    """Stores a template; gives its location."""

    def put(template: dict[str, Any], key: str = "template.json") -> str:
        client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(template))
        return f"s3://{bucket}/{key}"

    return put


@pytest.fixture
def specify(put: Put) -> Specify:
    return lambda code: StackSpec(
        NAME, put(hello(code), f"{code}.json"), {"Stage": "test"}, {"team": "shop"}
    )


@pytest.fixture
def stacks(clients: Clients) -> CloudFormationStacks:
    return CloudFormationStacks(clients.make("cloudformation"), templates=TemplateUrls(clients))


class TestCloudFormationStacks(StacksContract):
    def test_leaves_no_empty_change_set_behind(
        self,
        stacks: CloudFormationStacks,
        specify: Specify,
        wait: Wait,
        client: Callable[[str], Any],
    ) -> None:
        self.create(stacks, specify("one"), wait)
        self.previewed(stacks, specify("one"), "again", wait)

        left = client("cloudformation").list_change_sets(StackName=NAME)["Summaries"]
        assert [s for s in left if "again" in s["ChangeSetName"]] == []

    def test_says_what_of_a_resource_changes(
        self, stacks: CloudFormationStacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)

        made = self.previewed(stacks, specify("two"), "change", wait)

        (change,) = made.changes
        assert (change.type, change.change) == ("AWS::Lambda::Function", Change.MODIFY)
        assert change.properties == ("Code",)

    def test_tags_the_stack(
        self,
        stacks: CloudFormationStacks,
        specify: Specify,
        wait: Wait,
        client: Callable[[str], Any],
    ) -> None:
        self.create(stacks, specify("one"), wait)

        (stack,) = client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
        assert stack["Tags"] == [{"Key": "team", "Value": "shop"}]

    def test_gives_the_first_failure_of_the_last_operation(
        self, stacks: CloudFormationStacks, specify: Specify, put: Put, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        failing = put(hello("two", **TWO_OF_ONE_NAME))

        assert stacks.update(StackSpec(NAME, failing, {}), "update")
        state = self.settled(stacks, NAME, wait)

        assert state.status == "UPDATE_ROLLBACK_COMPLETE"
        assert "(AWS::Lambda::Alias): " in state.reason
        stacks.update(specify("three"), "recover")
        assert self.settled(stacks, NAME, wait).reason == ""

    def test_says_why_there_is_no_change_set(
        self, stacks: CloudFormationStacks, specify: Specify, put: Put, wait: Wait
    ) -> None:
        unknown = put({"Resources": {"X": {"Type": "AWS::No::Such"}}})
        with pytest.raises(ChangeSetFailed, match="AWS::No::Such"):
            self.previewed(stacks, StackSpec(NAME, unknown, {}), "wrong", wait)

    def test_says_which_template_is_missing(
        self, stacks: CloudFormationStacks, bucket: str, wait: Wait
    ) -> None:
        spec = StackSpec(NAME, f"s3://{bucket}/nothing.json", {})
        with pytest.raises(ChangeSetFailed, match=r"nothing\.json"):
            self.previewed(stacks, spec, "wrong", wait)

    def test_refuses_a_stack_whose_creation_failed(
        self, stacks: CloudFormationStacks, specify: Specify, put: Put, wait: Wait
    ) -> None:
        failing = StackSpec(NAME, put(hello("one", **TWO_OF_ONE_NAME)), {})
        assert self.create(stacks, failing, wait).status == "ROLLBACK_COMPLETE"

        with pytest.raises(StackFailed, match=r"ROLLBACK_COMPLETE.*delete it"):
            stacks.preview(specify("one"), "next")
        with pytest.raises(StackFailed, match=r"ROLLBACK_COMPLETE.*delete it"):
            stacks.update(specify("one"), "next")

    def test_refuses_a_change_set_that_is_gone(
        self,
        stacks: CloudFormationStacks,
        specify: Specify,
        wait: Wait,
        client: Callable[[str], Any],
    ) -> None:
        made = self.previewed(stacks, specify("one"), "create", wait)
        client("cloudformation").delete_change_set(ChangeSetName=made.id)

        with pytest.raises(ChangeSetStale, match=r"is gone.*Release again"):
            stacks.execute(made.id, "execute")

    def test_executed_long_ago_is_executed(
        self, stacks: CloudFormationStacks, specify: Specify, wait: Wait
    ) -> None:
        made = self.previewed(stacks, specify("one"), "create", wait)
        stacks.execute(made.id, "execute")
        before = self.settled(stacks, NAME, wait)

        stacks.execute(made.id, "execute")

        assert stacks.state(NAME) == before

    def test_counts_an_update_with_a_known_token_as_begun(
        self, stacks: CloudFormationStacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        assert stacks.update(specify("two"), "update")
        assert stacks.update(specify("two"), "update")
        self.settled(stacks, NAME, wait)
        assert stacks.update(specify("two"), "update")


def test_waits_for_others_who_work_on_the_stack(
    clients: Clients, stacks: CloudFormationStacks, specify: Specify, wait: Wait
) -> None:
    suite = StacksContract()
    suite.create(stacks, specify("one"), wait)
    clients.make("cloudformation").update_stack(
        StackName=NAME, TemplateURL=TemplateUrls(clients).url(specify("two").template_url)
    )

    if stacks.state(NAME).busy:
        with pytest.raises(StackBusy):
            stacks.update(specify("three"), "ours")
    suite.settled(stacks, NAME, wait)


def test_gives_the_url_of_the_buckets_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    urls = TemplateUrls(Clients(boto3.Session("key", "secret", region_name="eu-west-1")))

    assert urls.url("s3://shop-artifacts/a/template.json") == (
        "https://shop-artifacts.s3.eu-west-1.amazonaws.com/a/template.json"
    )
    assert urls.url("https://example.com/t.json") == "https://example.com/t.json"
