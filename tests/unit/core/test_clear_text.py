"""Which values may stand in a manifest, and which perhaps should not."""

from typing import Any

import pytest

from tidegate.core.errors import InputError
from tidegate.core.model.manifest import Manifest, parse_manifest
from tidegate.core.template.clear_text import is_not_echoed, perhaps_secrets, refuse_secrets

SECRET = {"Type": "String", "NoEcho": True}
REFERENCE = "{{resolve:secretsmanager:shop/password}}"


def manifest(**parameters: str) -> Manifest:
    listed = ", ".join(f"{name}: '{value}'" for name, value in parameters.items())
    stage = f"name: prod, account: '111111111111', regions: [eu-west-1], parameters: {{{listed}}}"
    return parse_manifest(f"version: 1\napplication: shop\nstages: [{{{stage}}}]")


def declaring(**parameters: Any) -> dict[str, Any]:
    return {"Parameters": parameters}


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "on"])
def test_what_cloudformation_may_take_for_true_is_not_echoed(value: object) -> None:
    assert is_not_echoed({"NoEcho": value})


@pytest.mark.parametrize("declaration", [{}, {"NoEcho": False}, {"NoEcho": "false"}])
def test_what_is_declared_without_is_echoed(declaration: dict[str, Any]) -> None:
    assert not is_not_echoed(declaration)


@pytest.mark.parametrize("value", ["hunter2", f"x{REFERENCE}", f"{REFERENCE}x", "{{resolve:}}"])
def test_a_secret_in_clear_text_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(InputError) as refused:
        refuse_secrets(declaring(Password=SECRET), manifest(Password=value))
    assert "tidegate.yaml: stages[0].parameters.Password: the template declares" in str(
        refused.value
    )
    assert value not in str(refused.value)


@pytest.mark.parametrize("template", [declaring(Stage=SECRET), declaring(), {}])
def test_other_values_are_taken(template: dict[str, Any]) -> None:
    refuse_secrets(template, manifest(Stage=REFERENCE, Size="2"))


def test_an_empty_value_is_no_secret() -> None:
    refuse_secrets(declaring(Password=SECRET), manifest(Password=""))


@pytest.mark.parametrize("name", ["Password", "DbPassword", "ApiKey", "GithubToken", "AppSecret"])
def test_advises_a_dynamic_reference_where_a_name_sounds_secret(name: str) -> None:
    (said,) = perhaps_secrets(
        declaring(**{name: {"Type": "String"}}), manifest(**{name: "hunter2"})
    )
    assert said.startswith(f"stages[0].parameters.{name} has a value in clear text")
    assert "{{resolve:secretsmanager:<name>}}" in said
    assert "{{resolve:ssm-secure:<name>}}" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "value", "type_of"),
    [
        ("Stage", "prod", "String"),
        ("SecretArn", "arn:aws:secretsmanager:eu-west-1:111111111111:secret:x", "String"),
        ("TokenTable", "tokens", "String"),
        ("Password", REFERENCE, "String"),
        ("Password", "/shop/password", "AWS::SSM::Parameter::Value<String>"),
    ],
)
def test_says_nothing_of_what_keeps_no_secret(name: str, value: str, type_of: str) -> None:
    assert not list(
        perhaps_secrets(declaring(**{name: {"Type": type_of}}), manifest(**{name: value}))
    )
