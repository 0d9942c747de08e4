"""What is watched of functions that events call is read from the expanded template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidegate.build.events import event_metrics
from tidegate.build.expand import expand_template
from tidegate.build.template import parse_template, read_template
from tidegate.core.model.plan import MetricPolicy

CORPUS = Path(__file__).parents[2] / "templates"


def watched(template: dict[str, Any]) -> dict[str, MetricPolicy]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": "artifacts", "Key": "code.zip"}
    globals_ = template.get("Globals", {}).get("Function", {})
    globals_.pop("CodeUri", None)
    expansion = expand_template(template)
    found = event_metrics(expansion.template, expansion.aliases)
    return {policy.query.name: policy for policy in found}


def of_function(properties: str, resources: str = "") -> dict[str, MetricPolicy]:
    return watched(
        parse_template(f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.12
{properties}
{resources}
""")
    )


def test_streams_by_their_age_and_queues_by_their_dead_letters() -> None:
    found = watched(read_template(CORPUS / "queues.yaml"))
    assert sorted(found) == [
        "dead letters in Failed",
        "iterator age of Analyse",
        "iterator age of Reorder",
    ]
    age, letters = found["iterator age of Analyse"], found["dead letters in Failed"]
    assert age.query.stats["value"].model_dump() == {
        "namespace": "AWS/Lambda",
        "metric": "IteratorAge",
        "dimensions": {"FunctionName": "Analyse"},
        "statistic": "Maximum",
    }
    assert letters.query.stats["value"].dimensions == {"QueueName": "Failed"}
    assert (age.at_most, letters.at_most) == (60_000, 0)
    assert all(one.or_before and one.missing == 0 and one.periods == 3 for one in found.values())


def test_nothing_of_functions_that_are_asked_and_answer() -> None:
    assert watched(read_template(CORPUS / "web.yaml")) == {}
    assert watched(read_template(CORPUS / "events.yaml")) == {}


def test_dead_letters_of_asynchronous_calls() -> None:
    found = of_function("""
      AutoPublishAlias: live
      DeadLetterQueue: {Type: SQS, TargetArn: "arn:aws:sqs:eu-west-1:111111111111:lost"}
""")
    assert sorted(found) == ["dropped events of Worker", "lost dead letters of Worker"]
    assert found["dropped events of Worker"].query.stats["value"].statistic == "Sum"


def test_destinations_of_failures() -> None:
    found = of_function("""
      AutoPublishAlias: live
      EventInvokeConfig:
        DestinationConfig:
          OnFailure: {Type: SQS, Destination: "arn:aws:sqs:eu-west-1:111111111111:lost"}
""")
    assert sorted(found) == ["dropped events of Worker", "lost failures of Worker"]


def test_a_destination_of_successes_tells_nothing_of_failures() -> None:
    assert not of_function("""
      AutoPublishAlias: live
      EventInvokeConfig:
        DestinationConfig:
          OnSuccess: {Type: SQS, Destination: "arn:aws:sqs:eu-west-1:111111111111:done"}
""")


def test_a_stream_elsewhere_whose_failures_go_to_a_queue_here() -> None:
    found = of_function(
        """
      AutoPublishAlias: live
      Events:
        Click:
          Type: Kinesis
          Properties:
            Stream: arn:aws:kinesis:eu-west-1:111111111111:stream/clicks
            StartingPosition: LATEST
            DestinationConfig: {OnFailure: {Destination: !GetAtt Lost.Arn}}
""",
        """
  Lost:
    Type: AWS::SQS::Queue
""",
    )
    assert sorted(found) == ["dead letters in Lost", "iterator age of Worker"]


def test_kafka_has_no_iterator_age() -> None:
    found = of_function("""
      AutoPublishAlias: live
      Events:
        Topic:
          Type: MSK
          Properties:
            Stream: arn:aws:kafka:eu-west-1:111111111111:cluster/clicks/1
            StartingPosition: LATEST
            Topics: [clicks]
""")
    assert not found


def test_a_function_that_does_not_shift_is_not_watched() -> None:
    found = of_function("""
      DeadLetterQueue: {Type: SQS, TargetArn: "arn:aws:sqs:eu-west-1:111111111111:lost"}
      EventInvokeConfig:
        DestinationConfig:
          OnFailure: {Type: SQS, Destination: "arn:aws:sqs:eu-west-1:111111111111:lost"}
      Events:
        Click:
          Type: Kinesis
          Properties:
            Stream: arn:aws:kinesis:eu-west-1:111111111111:stream/clicks
            StartingPosition: LATEST
""")
    assert not found
