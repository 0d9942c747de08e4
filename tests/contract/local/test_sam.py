"""A SAM application is built, deployed, updated and deleted by the SAM CLI at our endpoint."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.waiting import eventually
from tidegate_embedded.cloud import EmbeddedAws

pytestmark = pytest.mark.cloud

TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting: {Type: String, Default: hello}
Globals:
  Function: {Runtime: RUNTIME, Timeout: 10}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      AutoPublishAlias: live
      Layers: [!Ref Layer]
      Environment: {Variables: {GREETING: !Ref Greeting}}
      Policies:
        - DynamoDBCrudPolicy: {TableName: !Ref Table}
      Events:
        Told:
          Type: EventBridgeRule
          Properties: {EventBusName: !Ref Bus, Pattern: {source: [test]}}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/, CompatibleRuntimes: [RUNTIME]}
    Metadata: {BuildMethod: RUNTIME}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.yaml
      DefinitionSubstitutions: {FunctionArn: !Ref Function.Alias}
      Policies: [LambdaInvokePolicy: {FunctionName: !Ref Function}]
      Tracing: {Enabled: true}
      Logging:
        Level: ALL
        Destinations: [CloudWatchLogsLogGroup: {LogGroupArn: !GetAtt Logs.Arn}]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      SSESpecification: {SSEEnabled: true, SSEType: KMS, KMSMasterKeyId: !Ref Key}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
  Bus:
    Type: AWS::Events::EventBus
    Properties: {Name: !Sub '${AWS::StackName}-bus'}
  Ended:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.states], detail: {status: [FAILED, TIMED_OUT, ABORTED]}}
      Targets: [{Id: function, Arn: !Ref Function.Alias}]
  Key:
    Type: AWS::KMS::Key
    Properties:
      EnableKeyRotation: true
      KeyPolicy:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub 'arn:aws:iam::${AWS::AccountId}:root'}
            Action: kms:*
            Resource: '*'
  KeyAlias:
    Type: AWS::KMS::Alias
    Properties: {AliasName: !Sub 'alias/${AWS::StackName}', TargetKeyId: !Ref Key}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {KmsMasterKeyId: !Ref Key}
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: 14}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub 'arn:aws:iam::${AWS::AccountId}:root'}
            Action: [sts:AssumeRole, sts:TagSession]
            Condition: {StringEquals: {sts:ExternalId: tide}}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions: [{Name: FunctionName, Value: !Ref Function}]
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 0
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Ref Topic]
Outputs:
  Machine: {Value: !Ref Machine}
"""

MACHINE = """
QueryLanguage: JSONata
StartAt: Greet
States:
  Greet:
    Type: Task
    Resource: arn:aws:states:::lambda:invoke
    Arguments: {FunctionName: '${FunctionArn}', Payload: {name: '{% $states.input.name %}'}}
    Output: '{% $states.result.Payload %}'
    TimeoutSeconds: 30
    End: true
"""

CODE = """
import os
import words

def handler(event, context):
    return words.greeting(os.environ['GREETING'], event['name'])
"""

LAYER = """
def greeting(word, name):
    return f'{word} {name}'
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    files = {
        "template.yaml": TEMPLATE.replace("RUNTIME", runtime),
        "machine.asl.yaml": MACHINE,
        "src/app.py": CODE,
        "src/requirements.txt": "",
        "layer/words.py": LAYER,
        "layer/requirements.txt": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_sam_cli_builds_deploys_updates_and_deletes(
    aws: EmbeddedAws, account: str, application: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tools = Path(sys.executable).parent
    environment = {
        **os.environ,
        **aws.environment(account=account),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "TMPDIR": str(tmp_path_factory.mktemp("sam")),  # the SAM CLI leaves folders behind
    }

    def sam(*arguments: str) -> str:
        ended = subprocess.run(
            [tools / "sam", *arguments],
            cwd=application,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def deploy(*arguments: str) -> str:
        return sam(
            "deploy",
            "--stack-name=app",
            "--resolve-s3",
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--capabilities=CAPABILITY_IAM",
            "--capabilities=CAPABILITY_AUTO_EXPAND",
            *arguments,
        )

    def greet() -> Any:
        described = stacks.describe_stacks(StackName="app")["Stacks"][0]
        (machine,) = (item["OutputValue"] for item in described["Outputs"])
        execution = steps.start_execution(stateMachineArn=machine, input='{"name": "sea"}')

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = steps.describe_execution(executionArn=execution["executionArn"])
            return None if found["status"] == "RUNNING" else found

        return json.loads(eventually(ended)["output"])

    stacks = aws.client("cloudformation", account=account)
    steps = aws.client("stepfunctions", account=account)

    sam("build")
    deploy()
    assert greet() == "hello sea"
    assert "up to date" in deploy()
    deploy("--parameter-overrides", "Greeting=ahoy")
    # The alias still points to the version published before, for the code did not change.
    assert stacks.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    sam("delete", "--stack-name=app", "--no-prompts")
    assert steps.list_state_machines()["stateMachines"] == []
