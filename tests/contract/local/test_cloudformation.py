# ruff: noqa: E501  # messages as AWS words them
"""CloudFormation: types of our own, state machines, change sets, and stacks that fail."""

import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.cloudformation.engine import Properties, Provisioned, Resource, register_type

pytestmark = pytest.mark.cloud

CHANGE_SET_ENDS = ("CREATE_COMPLETE", "FAILED")


class Stacks:
    """Stacks of one account."""

    def __init__(self, aws: EmbeddedAws, account: str) -> None:
        self.client = aws.client("cloudformation", account=account)
        self._numbers = itertools.count()

    def change_set(self, stack: str, template: Any = None, **options: Any) -> dict[str, Any]:
        """A change set when it is ready, or failed."""
        body = {} if template is None else {"TemplateBody": json.dumps(template)}
        created = self.client.create_change_set(
            StackName=stack,
            ChangeSetName=f"changes-{next(self._numbers)}",
            ChangeSetType=options.pop("type", "UPDATE"),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            **body,
            **options,
        )

        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = self.client.describe_change_set(
                ChangeSetName=created["Id"], StackName=stack
            )
            return described if described["Status"] in CHANGE_SET_ENDS else None

        return eventually(ended)

    def execute(self, change_set: dict[str, Any], **options: Any) -> str:
        """The status of the stack after the change set."""
        self.client.execute_change_set(
            ChangeSetName=change_set["ChangeSetId"], StackName=change_set["StackName"], **options
        )
        return self.settled(change_set["StackName"])

    def deploy(self, stack: str, template: Any, **options: Any) -> str:
        """The status of the stack after a change set with the template."""
        return self.execute(self.change_set(stack, template, **options))

    def delete(self, stack: str) -> str:
        stack_id = self.client.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        self.client.delete_stack(StackName=stack)
        return self.settled(stack_id)

    def settled(self, stack: str) -> str:
        def status() -> str | None:
            found: str = self.client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            return None if found.endswith("IN_PROGRESS") else found

        return eventually(status)

    def outputs(self, stack: str) -> dict[str, str]:
        described = self.client.describe_stacks(StackName=stack)["Stacks"][0]
        return {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])}

    def reasons(self, stack: str) -> str:
        """Why resources failed."""
        events = self.client.describe_stack_events(StackName=stack)["StackEvents"]
        return "\n".join(
            event.get("ResourceStatusReason", "")
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        )


@pytest.fixture
def stacks(aws: EmbeddedAws, account: str) -> Stacks:
    return Stacks(aws, account)


def parameter(value: str, name: str = "/a") -> dict[str, Any]:
    """A template of one SSM parameter."""
    return {
        "Parameters": {"Value": {"Type": "String", "Default": value}},
        "Resources": {
            "Setting": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": name, "Type": "String", "Value": {"Ref": "Value"}},
            }
        },
        "Outputs": {"Value": {"Value": {"Fn::GetAtt": ["Setting", "Value"]}}},
    }


@pytest.fixture
def buoys(aws: EmbeddedAws) -> dict[str, dict[str, Any]]:
    """The resources of a type of our own, by physical id."""
    made: dict[str, dict[str, Any]] = {}

    def create(resource: Resource, properties: Properties) -> Provisioned:
        if properties["Colour"] == "grey":
            raise ValueError("no buoy is grey")
        # A call of the endpoint, as plug-ins make them.
        who = aws.client("sts", account=resource.account).get_caller_identity()
        name = resource.generated_name(40)
        made[name] = {"colour": properties["Colour"], "account": who["Account"]}
        return Provisioned(name, {"Colour": properties["Colour"]})

    def update(resource: Resource, old: Properties, new: Properties) -> Provisioned:
        if new["Colour"] == "grey":
            raise ValueError("no buoy is grey")
        made[resource.physical_id] |= {"colour": new["Colour"], "was": old["Colour"]}
        return Provisioned(resource.physical_id, {"Colour": new["Colour"]})

    def delete(resource: Resource, _properties: Properties) -> None:
        del made[resource.physical_id]

    register_type("Test::Sea::Buoy", create=create, update=update, delete=delete)
    return made


def buoy(colour: str) -> dict[str, Any]:
    return {
        "Resources": {"Buoy": {"Type": "Test::Sea::Buoy", "Properties": {"Colour": colour}}},
        "Outputs": {
            "Name": {"Value": {"Ref": "Buoy"}},
            "Colour": {"Value": {"Fn::GetAtt": ["Buoy", "Colour"]}},
        },
    }


def test_a_registered_type_is_created_updated_and_deleted(
    stacks: Stacks, account: str, buoys: dict[str, dict[str, Any]]
) -> None:
    assert stacks.deploy("sea", buoy("red"), type="CREATE") == "CREATE_COMPLETE"
    (name,) = buoys
    assert name.startswith("sea-Buoy-")
    assert stacks.outputs("sea") == {"Name": name, "Colour": "red"}

    assert stacks.deploy("sea", buoy("green")) == "UPDATE_COMPLETE"
    assert buoys == {name: {"colour": "green", "account": account, "was": "red"}}
    assert stacks.outputs("sea") == {"Name": name, "Colour": "green"}

    assert stacks.delete("sea") == "DELETE_COMPLETE"
    assert buoys == {}


@pytest.mark.usefixtures("buoys")
def test_a_registered_type_that_fails_rolls_the_stack_back_with_its_reason(
    stacks: Stacks,
) -> None:
    assert stacks.deploy("sea", buoy("grey"), type="CREATE") == "ROLLBACK_COMPLETE"
    assert "no buoy is grey" in stacks.reasons("sea")


def test_a_failed_update_restores_what_was(
    stacks: Stacks, buoys: dict[str, dict[str, Any]]
) -> None:
    both = buoy("red")
    both["Resources"] |= parameter("1")["Resources"]
    both["Parameters"] = parameter("1")["Parameters"]
    both["Resources"]["Buoy"]["DependsOn"] = "Setting"
    stacks.deploy("sea", both, type="CREATE")
    both["Resources"]["Buoy"]["Properties"]["Colour"] = "grey"

    assert stacks.deploy("sea", both) == "UPDATE_ROLLBACK_COMPLETE"
    assert "no buoy is grey" in stacks.reasons("sea")
    assert [item["colour"] for item in buoys.values()] == ["red"]


def test_a_function_without_its_package_fails_the_stack(
    aws: EmbeddedAws, account: str, stacks: Stacks
) -> None:
    aws.client("s3", account=account).create_bucket(
        Bucket=f"code-{account}", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    template = {
        "Resources": {
            "Fn": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Code": {"S3Bucket": f"code-{account}", "S3Key": "missing.zip"},
                    "Handler": "app.handler",
                    "Runtime": "python3.11",
                    "Role": f"arn:aws:iam::{account}:role/x",
                },
            }
        }
    }

    assert stacks.deploy("app", template, type="CREATE") == "ROLLBACK_COMPLETE"
    assert "Error occurred while GetObject. S3 Error Code: NoSuchKey." in stacks.reasons("app")


def machine(key: str) -> dict[str, Any]:
    return {
        "Parameters": {"Bucket": {"Type": "String"}},
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}
                },
            },
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "DefinitionS3Location": {"Bucket": {"Ref": "Bucket"}, "Key": key},
                    "DefinitionSubstitutions": {"Word": "said so"},
                    "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": True},
                    "TracingConfiguration": {"Enabled": True},
                    "Tags": [{"Key": "team", "Value": "a"}],
                },
            },
        },
        "Outputs": {
            "Arn": {"Value": {"Ref": "Machine"}},
            "Name": {"Value": {"Fn::GetAtt": ["Machine", "Name"]}},
        },
    }


def test_state_machines_of_stacks_run_and_follow_their_templates(
    aws: EmbeddedAws, account: str, stacks: Stacks
) -> None:
    bucket = f"machines-{account}"
    s3 = aws.client("s3", account=account)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    states = (
        "QueryLanguage: JSONata\n"
        "StartAt: Say\n"
        "States:\n"
        "  Say:  # in YAML\n"
        "    Type: Pass\n"
        "    Output: '{% \"${Word}\" %}'\n"
        "    End: true\n"
    )
    s3.put_object(Bucket=bucket, Key="v1", Body=states.encode())
    s3.put_object(
        Bucket=bucket,
        Key="v2",
        Body=b'{"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "${Word}"}}}',
    )
    parameters = [{"ParameterKey": "Bucket", "ParameterValue": bucket}]
    steps = aws.client("stepfunctions", account=account)

    def run(arn: str) -> dict[str, Any]:
        execution = steps.start_execution(stateMachineArn=arn)["executionArn"]

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = steps.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return eventually(ended)

    stacks.deploy("m", machine("v1"), type="CREATE", Parameters=parameters)
    outputs = stacks.outputs("m")
    described = steps.describe_state_machine(stateMachineArn=outputs["Arn"])
    assert outputs["Name"] == described["name"]
    assert outputs["Arn"] == f"arn:aws:states:eu-west-1:{account}:stateMachine:{outputs['Name']}"
    assert described["loggingConfiguration"] == {"level": "ALL", "includeExecutionData": True}
    assert run(outputs["Arn"])["output"] == '"said so"'

    assert stacks.deploy("m", machine("v2"), Parameters=parameters) == "UPDATE_COMPLETE"
    assert stacks.outputs("m") == outputs
    assert run(outputs["Arn"])["error"] == "said so"

    stacks.delete("m")
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        steps.describe_state_machine(stateMachineArn=outputs["Arn"])


def test_a_table_keeps_its_protection(aws: EmbeddedAws, account: str, stacks: Stacks) -> None:
    template = {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                    "SSESpecification": {"SSEEnabled": True},
                    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
                },
            }
        },
        "Outputs": {"Name": {"Value": {"Ref": "Table"}}},
    }
    stacks.deploy("t", template, type="CREATE")
    name = stacks.outputs("t")["Name"]
    tables = aws.client("dynamodb", account=account)

    table = tables.describe_table(TableName=name)["Table"]
    life = tables.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = tables.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]

    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert life == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_change_set_tells_what_it_would_do_before_it_does(stacks: Stacks) -> None:
    stacks.deploy("s", parameter("1") | {"Description": "d"}, type="CREATE")
    two = parameter("1")
    two["Resources"]["Other"] = parameter("1", "/b")["Resources"]["Setting"]
    changes = stacks.change_set("s", two)

    assert [
        (change["ResourceChange"]["Action"], change["ResourceChange"]["LogicalResourceId"])
        for change in changes["Changes"]
    ] == [("Add", "Other")]
    assert (changes["Status"], changes["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert stacks.execute(changes) == "UPDATE_COMPLETE"


def test_a_change_set_without_changes_fails_and_says_so(stacks: Stacks) -> None:
    stacks.deploy("s", parameter("1"), type="CREATE")
    changes = stacks.change_set("s", parameter("1"))

    assert (changes["Status"], changes["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in changes["StatusReason"]


def test_a_change_set_can_keep_values(stacks: Stacks) -> None:
    given = [{"ParameterKey": "Value", "ParameterValue": "given"}]
    stacks.deploy("s", parameter("default"), type="CREATE", Parameters=given)
    kept = [{"ParameterKey": "Value", "UsePreviousValue": True}]

    stacks.deploy("s", parameter("default", "/b"), Parameters=kept)

    assert stacks.outputs("s") == {"Value": "given"}


def test_executing_a_change_set_deletes_the_others(stacks: Stacks) -> None:
    stacks.deploy("s", parameter("1"), type="CREATE")
    stale = stacks.change_set("s", parameter("2"))
    stacks.deploy("s", parameter("3"))

    with pytest.raises(ClientError, match="ChangeSetNotFound"):
        stacks.client.execute_change_set(ChangeSetName=stale["ChangeSetId"], StackName="s")
    assert stacks.outputs("s") == {"Value": "3"}


def test_an_update_of_the_stack_makes_a_change_set_obsolete(stacks: Stacks) -> None:
    stacks.deploy("s", parameter("1"), type="CREATE")
    stale = stacks.change_set("s", parameter("2"))
    stacks.client.update_stack(StackName="s", TemplateBody=json.dumps(parameter("3")))
    stacks.settled("s")

    described = stacks.client.describe_change_set(ChangeSetName=stale["ChangeSetId"])
    assert described["ExecutionStatus"] == "OBSOLETE"
    with pytest.raises(ClientError, match="InvalidChangeSetStatus"):
        stacks.client.execute_change_set(ChangeSetName=stale["ChangeSetId"])


def test_the_events_of_an_execution_carry_its_token(stacks: Stacks) -> None:
    changes = stacks.change_set("s", parameter("1"), type="CREATE")
    stacks.execute(changes, ClientRequestToken="release-1")
    events = stacks.client.describe_stack_events(StackName="s")["StackEvents"]

    created = [event for event in events if event["ResourceStatus"] == "CREATE_COMPLETE"]
    assert created
    assert {event.get("ClientRequestToken") for event in created} == {"release-1"}


def test_a_template_can_be_in_a_bucket_of_another_account(
    aws: EmbeddedAws, account: str, stacks: Stacks
) -> None:
    owner = str(int(account) + 500_000_000_000)
    bucket = f"artifacts-{account}"
    s3 = aws.client("s3", account=owner)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="template.json", Body=json.dumps(parameter("far")).encode())
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/*",
            }
        ],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    url = f"https://{bucket}.s3.eu-west-1.amazonaws.com/template.json"

    status = stacks.execute(stacks.change_set("s", type="CREATE", TemplateURL=url))

    assert status == "CREATE_COMPLETE"
    assert stacks.outputs("s") == {"Value": "far"}


QUEUE: dict[str, Any] = {"Type": "AWS::SQS::Queue"}


def setting(value: Any, **more: Any) -> dict[str, Any]:
    properties = {"Name": "/a", "Type": "String", "Value": value}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties, **more}


def resources(value: Any, **more: Any) -> dict[str, Any]:
    return {"Resources": {"Queue": QUEUE, "Setting": setting(value, **more)}}


def output(**outputs: Any) -> dict[str, Any]:
    return {"Resources": {"Queue": QUEUE}, "Outputs": outputs}


UNRESOLVED = (
    "Template format error: Unresolved resource dependencies [{}] in the {} block of the template"
)
IS_PROD = {"IsProd": {"Fn::Equals": [{"Ref": "AWS::Region"}, "nowhere"]}}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (resources({"Ref": "Que"}), UNRESOLVED.format("Que", "Resources")),
        (resources({"Fn::Sub": "${Que}-${Quo}"}), UNRESOLVED.format("Que, Quo", "Resources")),
        (resources("a", DependsOn="Que"), UNRESOLVED.format("Que", "Resources")),
        (output(A={"Value": {"Ref": "Que"}}), UNRESOLVED.format("Que", "Outputs")),
        (
            resources({"Fn::GetAtt": ["Que", "Arn"]}),
            "Template error: instance of Fn::GetAtt references undefined resource Que",
        ),
        (
            {"Conditions": IS_PROD, "Resources": {
                "Queue": {**QUEUE, "Condition": "IsProd"}, "Setting": setting({"Ref": "Queue"})}},
            UNRESOLVED.format("Queue", "Resources"),
        ),
        (
            resources("a", Condition="IsPrd"),
            "Template format error: Unresolved condition dependency IsPrd in the Resources block of the template",
        ),
        (
            resources({"Fn::If": ["IsPrd", "a", "b"]}),
            "Template error: unresolved condition dependency IsPrd in Fn::If",
        ),
        (
            {"Conditions": {"A": {"Fn::Not": [{"Condition": "B"}]}}, **resources("a")},
            "Template format error: Unresolved condition dependencies [B] in the Conditions block of the template",
        ),
        (
            {"Conditions": {"A": {"Fn::Equals": [{"Ref": "Queue"}, "b"]}}, **resources("a")},
            "Template format error: Unresolved dependencies [Queue]. Cannot reference resources in the Conditions block of the template",
        ),
        (
            output(A={"Value": "1", "Export": {"Name": "x"}}, B={"Value": "2", "Export": {"Name": "x"}}),
            "Template format error: The Outputs section contains duplicate Export names: [x]. Specify a unique name for each export.",
        ),
    ],
)  # fmt: skip
def test_names_that_nothing_has_are_refused_before_anything_is_made(
    stacks: Stacks, template: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError) as refused:
        stacks.change_set("broken", template, type="CREATE")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert refused.value.response["Error"]["Message"] == said
    with pytest.raises(ClientError, match="does not exist"):
        stacks.client.describe_stacks(StackName="broken")


def test_what_a_condition_leaves_out_may_be_named_where_it_leaves_out_that_too(
    stacks: Stacks,
) -> None:
    chosen = {"Fn::If": ["IsProd", {"Ref": "Queue"}, {"Fn::Sub": "${AWS::Region}-${!literal}"}]}
    template = {
        "Conditions": IS_PROD,
        "Resources": {
            "Queue": {**QUEUE, "Condition": "IsProd"},
            "Setting": setting(chosen),
        },
        "Outputs": {"Queue": {"Condition": "IsProd", "Value": {"Ref": "Queue"}}},
    }
    assert stacks.deploy("chosen", template, type="CREATE") == "CREATE_COMPLETE"
