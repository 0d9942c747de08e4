"""The expansion is SAM's own, but for the aliases that a release can hold."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.applications import Expand, MakeApplication
from tidegate.build.expand import Setting, expand_template
from tidegate.build.package import BUCKET_PARAMETER, PackageStore, package_code
from tidegate.build.template import parse_template, read_template
from tidegate.core.errors import TemplateError
from tidegate.core.model.artifact import TemplateDefaults

SAM = "Transform: AWS::Serverless-2016-10-31\n"


def test_a_pin_keeps_the_alias_on_a_version(expand: Expand) -> None:
    template = expand("plain").template

    alias = template["Resources"]["GreeterAliaslive"]["Properties"]["FunctionVersion"]
    pin = "TidegatePinnedVersionGreeterAliaslive"
    condition, pinned, published = alias["Fn::If"]
    assert template["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": pin}, ""]}]}
    assert pinned == {"Ref": pin}
    assert template["Parameters"][pin]["Default"] == ""
    version = template["Resources"][published["Fn::GetAtt"][0]]
    assert version["Type"] == "AWS::Lambda::Version"
    assert version["DeletionPolicy"] == version["UpdateReplacePolicy"] == "Retain"


def test_reports_every_alias_that_a_release_moves(expand: Expand) -> None:
    expansion = expand("codedeploy")

    assert [(a.function, a.alias, a.alias_logical_id) for a in expansion.aliases] == [
        ("After", "live", "AfterAliaslive"),
        ("Before", "live", "BeforeAliaslive"),
        ("Orders", "live", "OrdersAliaslive"),
        ("Reports", "live", "ReportsAliaslive"),
    ]
    assert expansion.functions == ("After", "Before", "Orders", "Reports")


def test_takes_over_an_alias_that_is_written_by_hand(expand: Expand) -> None:
    expansion = expand("handwritten")

    (alias,) = expansion.aliases  # the one with a fixed version is nobody's to move
    assert (alias.function, alias.alias, alias.version_logical_id) == (
        "Worker",
        "live",
        "WorkerVersion",
    )
    resources = expansion.template["Resources"]
    assert "Fn::If" in resources["WorkerLive"]["Properties"]["FunctionVersion"]
    assert resources["WorkerFirst"]["Properties"]["FunctionVersion"] == "1"
    assert resources["WorkerVersion"]["DeletionPolicy"] == "Retain"


def test_keeps_what_codedeploy_was_told(expand: Expand) -> None:
    assert expand("codedeploy").defaults["prod"] == TemplateDefaults(
        strategy="Canary10Percent5Minutes",
        pre_traffic=("Before",),
        post_traffic=("After",),
        alarms=("OrderErrors", "CheckoutLatency"),
    )


def test_removes_codedeploy_and_the_conditions_that_only_it_used(expand: Expand) -> None:
    template = expand("codedeploy").template

    assert "CodeDeploy" not in json.dumps(template)
    assert {c for c in template["Conditions"] if not c.startswith("Tidegate")} == {
        "IsProd",
        "HasReports",
    }


def test_knows_that_shifting_is_off(expand: Expand) -> None:
    def switch_off(template: Any) -> None:
        template["Globals"]["Function"]["DeploymentPreference"]["Enabled"] = False

    assert expand("codedeploy", switch_off).defaults["prod"] == TemplateDefaults(enabled=False)


@pytest.mark.parametrize("decided", [(), ("strategy",), ("alarms",), ("pre_traffic",)])
def test_a_hook_whose_own_preference_is_off_switches_nothing_else_off(
    expand: Expand, decided: tuple[str, ...]
) -> None:
    defaults = expand("guide", decided=decided).defaults["prod"]
    assert defaults.enabled
    assert defaults.strategy == "Canary10Percent10Minutes"
    assert defaults.pre_traffic == ("PreTrafficLambdaFunction",)
    assert defaults.post_traffic == ("PostTrafficLambdaFunction",)
    assert defaults.alarms == ("AliasErrorMetricGreaterThanZeroAlarm",)
    assert [one.topic for one in defaults.notifications] == ["Deployments"]


def test_takes_out_what_a_hook_was_allowed_to_tell_codedeploy(expand: Expand) -> None:
    expansion = expand("guide")
    role = expansion.template["Resources"]["PreTrafficLambdaFunctionRole"]
    (policy,) = role["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["lambda:InvokeFunction"]
    said = expansion.report.changed["PreTrafficLambdaFunctionRole"]
    assert "what it was allowed to tell CodeDeploy is gone" in said


def test_a_permission_for_more_than_the_answer_is_left_to_its_owner(expand: Expand) -> None:
    def widen(template: Any) -> None:
        hook = template["Resources"]["PreTrafficLambdaFunction"]["Properties"]
        hook["Policies"][0]["Statement"][0]["Action"].append("s3:GetObject")

    with pytest.raises(TemplateError, match="PreTrafficLambdaFunctionRole refers to Serverless"):
        expand("guide", widen)


def test_a_policy_of_its_own_for_codedeploy_alone_is_left_to_its_owner(expand: Expand) -> None:
    def apart(template: Any) -> None:
        hook = template["Resources"]["PreTrafficLambdaFunction"]["Properties"]
        template["Resources"]["Own"] = {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"PolicyDocument": hook["Policies"].pop(0)},
        }

    with pytest.raises(TemplateError, match=r"Resources\.Own refers to Serverless"):
        expand("guide", apart)


def test_packages_what_lambda_and_step_functions_read(expand: Expand, store: PackageStore) -> None:
    resources = expand("layers").template["Resources"]

    def location(of: dict[str, Any]) -> Any:
        return of.get("S3Key") or of.get("Key") or of

    layer = next(r for r in resources.values() if r["Type"] == "AWS::Lambda::LayerVersion")
    ours = [
        location(layer["Properties"]["Content"]),
        location(resources["Zipped"]["Properties"]["Code"]),
        location(resources["Single"]["Properties"]["Code"]),
        location(resources["Flow"]["Properties"]["DefinitionS3Location"]),
    ]
    assert sorted(ours) == sorted(store.digests)
    assert location(resources["Elsewhere"]["Properties"]["Code"]) == "their-key.zip"
    assert "ZipFile" in resources["Inline"]["Properties"]["Code"]


def test_names_the_bucket_by_a_parameter(expand: Expand) -> None:
    template = expand("plain").template

    code = template["Resources"]["Greeter"]["Properties"]["Code"]
    assert code["S3Bucket"] == {"Ref": BUCKET_PARAMETER}
    assert "Default" not in template["Parameters"][BUCKET_PARAMETER]


def test_a_version_is_new_only_when_the_code_is(
    application: MakeApplication, tmp_path: Path
) -> None:
    def version(folder: Path) -> str:
        template = read_template(folder / "template.yaml")
        package_code(
            template, folder / "template.yaml", PackageStore(tmp_path / "out" / "p", "packages")
        )
        return expand_template(template).aliases[0].version_logical_id

    folder, same = application("plain", at="one"), application("plain", at="another")
    (same / "README.md").write_text("beside the code")
    os.utime(same / "greeter" / "app.py", (0, 1_000_000_000))
    before = version(folder)

    assert version(same) == before
    (folder / "greeter" / "app.py").write_text("# new\n")
    assert version(folder) != before


def test_is_the_same_in_every_region_and_process(application: MakeApplication) -> None:
    folder = application("codedeploy")
    program = (
        "import json, sys; from pathlib import Path\n"
        "from tidegate.build.artifact import build_artifact\n"
        "print(build_artifact(Path(sys.argv[1])).digest)"
    )

    def digest(seed: str, region: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "AWS_DEFAULT_REGION": region}
        command = [sys.executable, "-c", program, str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert digest("1", "eu-west-1") == digest("2", "cn-north-1")


def test_keeps_references_to_parameters_that_stages_set() -> None:
    text = (
        SAM + "Parameters: {Stage: {Type: String, Default: test}}\n"
        "Resources:\n"
        "  Web:\n"
        "    Type: AWS::Serverless::HttpApi\n"
        "    Properties:\n"
        "      CorsConfiguration: {AllowOrigins: [!Ref Stage]}\n"
        '      Domain: {DomainName: !Sub "${Stage}.example.com", CertificateArn: !Ref Stage}\n'
    )

    expanded = json.dumps(expand_template(parse_template(text)).template["Resources"])

    assert "${Stage}.example.com" in expanded
    assert '"allowOrigins": [{"Ref": "Stage"}]' in expanded
    assert '"test"' not in expanded


def test_an_alias_may_have_its_name_from_a_parameter(expand: Expand) -> None:
    def change(template: Any) -> None:
        template["Parameters"]["Alias"] = {"Type": "String", "Default": "current"}
        template["Resources"]["Greeter"]["Properties"]["AutoPublishAlias"] = {"Ref": "Alias"}
        template["Outputs"] = {}

    assert expand("plain", change).aliases[0].alias == "current"


def test_keeps_references_to_region_and_account(expand: Expand) -> None:
    text = json.dumps(expand("plain").template)

    assert "${AWS::Region}:${AWS::AccountId}:${Stage}" in text
    assert '{"Ref": "AWS::Region"}' in text


def test_leaves_other_macros_to_cloudformation() -> None:
    template = parse_template(
        "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\n"
        "Resources: {T: {Type: AWS::SNS::Topic}}"
    )

    assert expand_template(template).template["Transform"] == ["AWS::LanguageExtensions"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            SAM + "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Handler: a.b}}}",
            r"SAM cannot expand the template: Resource with id \[F\] is invalid",
        ),
        (
            (
                "Resources:\n"
                "  F: {Type: AWS::Lambda::Function}\n"
                "  V: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref F}}\n"
                "  A: {Type: AWS::Lambda::Alias, Properties: {Name: live, FunctionName: !Ref F,\n"
                "    FunctionVersion: !GetAtt V.Version, RoutingConfig: {}}}\n"
            ),
            r"A\.RoutingConfig gives weights",
        ),
        (
            (
                "Resources:\n"
                "  V: {Type: AWS::Lambda::Version, Properties: {FunctionName: other}}\n"
                "  A: {Type: AWS::Lambda::Alias, Properties: {Name: live, FunctionName: other,\n"
                "    FunctionVersion: !GetAtt V.Version}}\n"
            ),
            r"A\.FunctionName is 'other', which is no function of this template",
        ),
        (
            (
                SAM + "Parameters: {Keep: {Type: String}}\n"
                "Resources:\n"
                "  L: {Type: AWS::Serverless::LayerVersion,\n"
                "    Properties: {ContentUri: s3://b/k, RetentionPolicy: !Ref Keep}}\n"
            ),
            r"L\.RetentionPolicy is .*, whose value SAM must know .*, and Keep has none\.",
        ),
        (
            (
                "Parameters: {TidegateArtifactBucket: {Type: String}}\n"
                "Resources: {T: {Type: AWS::SNS::Topic}}"
            ),
            r"Parameters\.TidegateArtifactBucket is a name that Tidegate needs",
        ),
    ],
)
def test_says_why_a_template_cannot_be_taken_over(text: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        expand_template(parse_template(text))


@pytest.mark.parametrize(
    ("preference", "complaint"),
    [
        ({"Type": "AllAtOnce"}, "`DeploymentPreference.Type` differ"),
        ({"Type": {"Fn::ImportValue": "type"}}, "Type` is .* known only in a stack"),
        ({"Hooks": {"PreTraffic": {"Fn::ImportValue": "hook"}}}, "Hooks` is .* known only in a"),
        ({"Alarms": [{"Fn::ImportValue": "a"}]}, "Alarms` is .* known only in a stack"),
        ({"Alarms": {"Fn::If": ["Here", ["A"], ["B"]]}}, "Alarms` is .* known only in a stack"),
    ],
)
def test_says_what_of_codedeploy_it_cannot_follow(
    preference: dict[str, Any], complaint: str, expand: Expand
) -> None:
    def change(template: Any) -> None:
        template["Resources"]["Orders"]["Properties"] = {"DeploymentPreference": preference}

    with pytest.raises(TemplateError, match=complaint):
        expand("codedeploy", change)


def test_says_what_to_write_where_functions_shift_differently(expand: Expand) -> None:
    def change(template: Any) -> None:
        template["Resources"]["Orders"]["Properties"] = {
            "DeploymentPreference": {"Type": "AllAtOnce"}
        }

    with pytest.raises(TemplateError) as caught:
        expand("codedeploy", change)

    assert "(Orders AllAtOnce, Reports Canary10Percent5Minutes)" in caught.value.message
    assert caught.value.remedy == (
        "Write one for all in tidegate.yaml, such as\n\n"
        "stages:\n"
        "  - name: prod\n"
        "    strategy: Canary10Percent5Minutes\n\n"
        "or in template.yaml, and remove `Type` from the functions' own `DeploymentPreference`:\n\n"
        "Globals:\n"
        "  Function:\n"
        "    DeploymentPreference:\n"
        "      Type: Canary10Percent5Minutes\n"
    )


def test_refuses_a_reference_to_what_it_removes(expand: Expand) -> None:
    def change(template: Any) -> None:
        template["Outputs"] = {"Group": {"Value": {"Ref": "OrdersDeploymentGroup"}}}

    with pytest.raises(TemplateError, match=r"Outputs\.Group refers to OrdersDeploymentGroup"):
        expand("codedeploy", change)


def test_finds_the_function_of_an_alias_by_its_name(expand: Expand) -> None:
    def change(template: Any) -> None:
        template["Resources"]["Worker"]["Properties"]["FunctionName"] = "worker"
        template["Resources"]["WorkerLive"]["Properties"]["FunctionName"] = "worker"

    assert expand("handwritten", change).aliases[0].function == "Worker"


def test_asks_for_an_alias_name_that_it_can_know(expand: Expand) -> None:
    def change(template: Any) -> None:
        template["Resources"]["WorkerLive"]["Properties"]["Name"] = {"Fn::ImportValue": "name"}

    with pytest.raises(TemplateError, match=r"WorkerLive\.Name is .* must know the alias's name"):
        expand("handwritten", change)


def test_counts_the_parameters_that_pins_need(expand: Expand) -> None:
    def change(template: Any) -> None:
        template["Parameters"] |= {f"P{n}": {"Type": "String"} for n in range(197)}

    with pytest.raises(TemplateError, match=r"the template has 201 parameters; .* allows 200"):
        expand("handwritten", change)


CHOSEN = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Stage: {Type: String, Default: test}}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
Globals: {Function: {CodeUri: s3://bucket/key, Handler: a.b, Runtime: python3.12}}
Resources:
  Shop: {Type: AWS::Serverless::Function, Properties: {AutoPublishAlias: ALIAS}}
"""


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ("!If [IsProd, live, beta]", "beta by default and live in the stage prod"),
        ("!If [IsProd, live, !Ref AWS::NoValue]", "none by default and live in the stage prod"),
        ("!Ref Stage", "test by default and prod in the stage prod"),
    ],
)
def test_refuses_an_alias_whose_name_differs_between_stages(alias: str, said: str) -> None:
    template = parse_template(CHOSEN.replace("ALIAS", alias))
    stages = [Setting("test"), Setting("prod", {"Stage": "prod"})]

    with pytest.raises(TemplateError, match=rf"Shop\.AutoPublishAlias is {said}, and a release"):
        expand_template(template, settings=stages)


@pytest.mark.parametrize(
    ("alias", "managed"),
    [("!If [IsProd, live, live]", ["live"]), ("!If [IsProd, beta, !Ref AWS::NoValue]", [])],
)
def test_takes_an_alias_that_a_condition_decides_alike_in_every_stage(
    alias: str, managed: list[str]
) -> None:
    template = parse_template(CHOSEN.replace("ALIAS", alias))

    assert [a.alias for a in expand_template(template).aliases] == managed
