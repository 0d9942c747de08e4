"""A manifest deploys to regions that there are, and that one controller can reach."""

import pytest

from tidegate.core.errors import ManifestError
from tidegate.core.model.manifest import parse_manifest
from tidegate.core.model.regions import Partition, unknown_region, unlisted_regions

PARTITIONS = (
    Partition("aws", r"^(us|eu)-\w+-\d+$", frozenset({"eu-west-1", "us-east-1"})),
    Partition("aws-cn", r"^cn-\w+-\d+$", frozenset({"cn-north-1"})),
    Partition("aws-us-gov", r"^us-gov-\w+-\d+$", frozenset({"us-gov-west-1"})),
)
ONE, OTHER = "111111111111", "222222222222"


def manifest(*stages: str) -> str:
    return "version: 1\napplication: shop\nstages:\n" + "".join(f"  - {{{s}}}\n" for s in stages)


def stage(name: str, account: str, more: str) -> str:
    return f'name: {name}, account: "{account}", {more}'


def refused(text: str) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "shop/tidegate.yaml", PARTITIONS)
    return caught.value


def test_takes_regions_that_there_are() -> None:
    text = manifest(
        stage("test", ONE, "regions: [eu-west-1]"),
        stage(
            "prod", OTHER, f"waves: [[eu-west-1], [us-east-1]], role: arn:aws:iam::{OTHER}:role/r"
        ),
    )

    parsed = parse_manifest(text, "tidegate.yaml", PARTITIONS)

    assert unlisted_regions(parsed, PARTITIONS) == ()


def test_refuses_a_region_that_there_is_not() -> None:
    error = refused(manifest(stage("prod", ONE, "regions: [eu-west-1, eux-west-1]")))

    assert str(error) == (
        'shop/tidegate.yaml:4: stages[0].regions[1]: there is no region "eux-west-1".'
        " Did you mean eu-west-1?"
    )


def test_names_a_region_where_none_is_near() -> None:
    error = refused(manifest(stage("prod", ONE, "waves: [[eu-west-1], [xx-nowhere-9]]")))

    assert (error.key, error.line) == ("stages[0].waves[1][0]", 4)
    assert error.remedy == "Write its code, such as eu-west-1."


def test_lists_every_region_that_is_wrong() -> None:
    error = refused(
        manifest(
            stage("test", ONE, "regions: [xx-nowhere-9]"),
            stage("prod", ONE, "regions: [eu-west-1, cn-north-1]"),
        )
    )

    assert [error.key, *(other.key for other in error.others)] == [
        "stages[0].regions[0]",
        "stages[1].regions[1]",
    ]


@pytest.mark.parametrize(
    ("stages", "key", "said"),
    [
        (
            [stage("prod", ONE, "regions: [cn-north-1, us-gov-west-1]")],
            "stages[0].regions[1]",
            (
                "us-gov-west-1 is in the partition aws-us-gov, and cn-north-1 of the same stage is"
                " in aws-cn."
            ),
        ),
        (
            [
                stage("test", ONE, "regions: [eu-west-1]"),
                stage("prod", OTHER, "regions: [cn-north-1]"),
            ],
            "stages[1].regions[0]",
            "cn-north-1 is in the partition aws-cn, and eu-west-1 of the stage test is in aws.",
        ),
        (
            [
                stage("test", ONE, "regions: [eu-west-1]"),
                stage("prod", ONE, "regions: [cn-north-1]"),
            ],
            "stages[1].regions[0]",
            (
                "cn-north-1 is in the partition aws-cn, and eu-west-1 of the stage test, which has"
                " the same account 111111111111, is in aws."
            ),
        ),
    ],
)
def test_keeps_to_one_partition(stages: list[str], key: str, said: str) -> None:
    error = refused(manifest(*stages))

    assert (error.key, error.message) == (key, said)
    assert error.remedy.startswith("No role can be assumed across partitions.")


ROLE = f"arn:aws-cn:iam::{ONE}:role/deploys"
TOPIC = "arn:aws-cn:sns:${AWS::Region}:${AWS::AccountId}:releases"
KEY = f"arn:aws-us-gov:kms:us-gov-west-1:{ONE}:key/1"
HOOK = f"arn:aws-cn:lambda:cn-north-1:{ONE}:function:hook"


@pytest.mark.parametrize(
    ("more", "key", "partition", "service"),
    [
        (f"role: {ROLE}", "role", "aws-cn", "iam"),
        (
            f'notifications: [{{topic: "{TOPIC}", events: [failure]}}]',
            "notifications[0].topic",
            "aws-cn",
            "sns",
        ),
        (f"parameters: {{Table: orders, Key: '{KEY}'}}", "parameters.Key", "aws-us-gov", "kms"),
        (f"hooks: {{post_traffic: ['{HOOK}']}}", "hooks.post_traffic[0]", "aws-cn", "lambda"),
    ],
    ids=["role", "topic", "key in a parameter", "hook"],
)
def test_an_arn_of_a_stage_is_in_the_partition_of_its_regions(
    more: str, key: str, partition: str, service: str
) -> None:
    error = refused(manifest(stage("prod", ONE, f"regions: [eu-west-1, us-east-1], {more}")))

    assert error.key.startswith(f"stages[0].{key}")
    assert (error.line, error.others) == (4, ())
    assert error.message.endswith(f" is in the partition {partition}, and eu-west-1 is in aws.")
    assert error.remedy == f"Name one that begins with `arn:aws:{service}:`."


def test_an_arn_for_all_stages_is_in_their_partition() -> None:
    text = manifest(stage("prod", ONE, "regions: [cn-north-1]"))
    text += "notifications:\n  - topic: arn:aws:sns:eu-west-1:111111111111:releases\n"

    error = refused(text)

    assert (error.key, error.line) == ("notifications[0].topic", 6)
    assert str(error).endswith(
        "arn:aws:sns:eu-west-1:111111111111:releases is in the partition aws, and cn-north-1 is in"
        " aws-cn. Name one that begins with `arn:aws-cn:sns:`."
    )


def test_an_arn_may_leave_its_partition_to_the_stage() -> None:
    topic = '"arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:releases"'
    text = manifest(stage("prod", ONE, "regions: [cn-north-1]"))
    text += f"notifications:\n  - topic: {topic}\n"

    parsed = parse_manifest(text, "tidegate.yaml", PARTITIONS)

    assert parsed.notifications


def test_a_region_newer_than_the_list_may_be_right() -> None:
    text = manifest(stage("prod", ONE, "regions: [eu-wets-1, us-moon-7]"))

    said = unlisted_regions(parse_manifest(text, "tidegate.yaml", PARTITIONS), PARTITIONS)

    assert said == (
        (
            "stages[0].regions[0]: eu-wets-1 is not in the list of regions that came with botocore."
            " Did you mean eu-west-1? If it is new, all is well."
        ),
        (
            "stages[0].regions[1]: us-moon-7 is not in the list of regions that came with botocore."
            " If it is new, all is well."
        ),
    )


def test_without_a_list_any_region_is_taken() -> None:
    parsed = parse_manifest(manifest(stage("prod", ONE, "regions: [xx-nowhere-9]")))

    assert parsed.stages[0].regions == ("xx-nowhere-9",)


def test_says_of_one_region_whether_there_is_such() -> None:
    assert unknown_region("eu-west-1", PARTITIONS) is None
    assert unknown_region("eu-new-1", PARTITIONS) is None
    assert unknown_region("cn-nort-1x", PARTITIONS) == (
        'there is no region "cn-nort-1x".',
        "Did you mean cn-north-1?",
    )
