"""What a template opens to others, or no longer guards: the part of a preview to read twice.

The template is the expanded one. Nothing is passed over in silence: what depends on more than the
parameters and the place of a stack is said to be unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.core.approval.identity import matches
from tidegate.core.model.artifact import canonical_json
from tidegate.core.model.plan import ReleasePlan, Target
from tidegate.core.model.record import SecurityLine
from tidegate.core.template.values import NO_VALUE, Values

_ANYBODY: Final = "everybody"
_ROLE: Final = "AWS::IAM::Role"
_STACK: Final = "AWS::CloudFormation::Stack"
_URL: Final = "AWS::Lambda::Url"
_GRANTS: Final = {  # one principal, in properties of its own
    "AWS::Events::EventBusPolicy": "use",
    "AWS::Lambda::LayerVersionPermission": "use",
    "AWS::Lambda::Permission": "call",
}
_POLICIES: Final = frozenset(
    {
        "AccessPolicies",
        "AssumeRolePolicyDocument",
        "FileSystemPolicy",
        "KeyPolicy",
        "Policy",
        "PolicyDocument",
        "PolicyText",
        "RepositoryPolicyText",
        "ResourcePolicy",
    }
)
_MIGHTY: Final = re.compile(r":aws:policy/(AdministratorAccess\b.*|PowerUserAccess|IAMFullAccess)$")
# Whoever may do one of these may give any permission, to themselves or to others.
_TO_MORE: Final = (
    "iam:addusertogroup",
    "iam:attachgrouppolicy",
    "iam:attachrolepolicy",
    "iam:attachuserpolicy",
    "iam:createaccesskey",
    "iam:createloginprofile",
    "iam:createpolicyversion",
    "iam:createrole",
    "iam:createuser",
    "iam:deleterolepermissionsboundary",
    "iam:passrole",
    "iam:putgrouppolicy",
    "iam:putrolepolicy",
    "iam:putuserpolicy",
    "iam:setdefaultpolicyversion",
    "iam:updateassumerolepolicy",
    "iam:updateloginprofile",
)
_GUARDS: Final = {  # of resources of a type: the property that guards, and what it does
    "AWS::IAM::Role": ("PermissionsBoundary", "its permissions boundary"),
    "AWS::Lambda::CodeSigningConfig": ("CodeSigningPolicies", "its refusal of unsigned code"),
    "AWS::Lambda::Function": ("CodeSigningConfigArn", "its code signing"),
}
_WARNS: Final = {"UntrustedArtifactOnDeployment": "Warn"}  # what is so without a policy, too
_ACCOUNT: Final = re.compile(r"(\d{12})|arn:[^:]*:(?:iam|sts)::(\d{12}):.*")
_VARIABLE: Final = re.compile(r"\$\{([^!}]+)\}")
_OWN: Final = re.compile(r"\$\{(\w+)(?:\.(?:Arn|PolicyArn|S3CanonicalUserId))?\}")
_LONGEST: Final = 120  # of what is quoted from a template


@dataclass(frozen=True)
class Deployment:
    """A template, with what is known where it is deployed."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    target: Target


def opened(after: Deployment, before: Deployment | None) -> list[SecurityLine]:
    """What is open to others after a deployment and was not before; then what is guarded no more.

    Without a ``before`` all that is open.
    """
    now = _Reader(after)
    if before is None:
        return _unique(now.lines())
    then = _Reader(before)
    known = set(_said(then.lines()))
    new = [line for line in now.lines() if (line.logical_id, line.what) not in known]
    return _unique(iter([*new, *_unguarded(then.guards(), now.guards())]))


def no_comparison(deployment: Deployment) -> SecurityLine:
    """What is said where the template that is live is not known."""
    return SecurityLine(
        logical_id=deployment.target.stack_name,
        what="was not made from an artifact that is still there: what it guarded until now, as by"
        " code signing, is not compared",
    )


def planned_security(plan: ReleasePlan, template: Mapping[str, Any]) -> list[SecurityLine]:
    """What the template opens to others in any stage; where not in all of them, in which."""
    stages: dict[tuple[str, str], dict[str, None]] = {}
    for stage in plan.stages:
        for target in (target for wave in stage.waves for target in wave):
            lines = opened(Deployment(template, stage.parameters, target), None)
            for said in _said(iter(lines)):
                stages.setdefault(said, {})[stage.name] = None
    return [
        SecurityLine(logical_id=logical_id, what=what + _in(names, len(plan.stages)))
        for (logical_id, what), names in stages.items()
    ]


def _in(names: Mapping[str, None], of: int) -> str:
    return "" if len(names) == of else f" (in {', '.join(names)})"


def _said(lines: Iterator[SecurityLine]) -> Iterator[tuple[str, str]]:
    return ((line.logical_id, line.what) for line in lines)


def _unique(lines: Iterator[SecurityLine]) -> list[SecurityLine]:
    return [SecurityLine(logical_id=name, what=what) for name, what in dict.fromkeys(_said(lines))]


_Guards = Mapping[tuple[str, str], str]


def _unguarded(before: _Guards, after: _Guards) -> Iterator[SecurityLine]:
    """What is another guard, or none, of resources that stay."""
    for (name, what), old in before.items():
        new = after.get((name, what), old)
        if old and not new:
            yield SecurityLine(logical_id=name, what=f"loses {what}, which was {old}")
        elif old and old != new:
            yield SecurityLine(logical_id=name, what=f"changes {what}: {new}, not {old}")


class _Reader:
    """One deployment's template, with its parameters and its place filled in."""

    def __init__(self, deployment: Deployment) -> None:
        template, target = deployment.template, deployment.target
        declared: Mapping[str, Any] = template.get("Parameters") or {}
        told = {n: p for n, p in declared.items() if str(p.get("NoEcho")).lower() != "true"}
        partition = target.role_arn.split(":")[1]
        suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        place = {
            "AWS::AccountId": target.account,
            "AWS::Partition": partition,
            "AWS::Region": target.region,
            "AWS::StackName": target.stack_name,
            "AWS::URLSuffix": suffix,
        }
        self._account = target.account
        self._values = Values({**template, "Parameters": told}, deployment.parameters, place)
        self._transforms = template.get("Transform")
        self._resources: Mapping[str, Mapping[str, Any]] = {
            name: resource
            for name, resource in template["Resources"].items()
            if "Condition" not in resource or self._values.holds(resource["Condition"]) is not False
        }

    def lines(self) -> Iterator[SecurityLine]:
        """All that is open to others, in the order of the template."""
        if self._transforms:
            what = f"changes the template after it was looked at: {_quote(self._transforms)}"
            yield SecurityLine(logical_id="Transform", what=what)
        for name, resource in self._resources.items():
            for what in self._resource(resource):
                yield SecurityLine(logical_id=name, what=what)

    def guards(self) -> _Guards:
        """What guards each resource: by its name and the guard's, as text."""
        return {
            (name, _GUARDS[resource["Type"]][1]): self._guard(resource)
            for name, resource in self._resources.items()
            if resource["Type"] in _GUARDS
        }

    def _guard(self, resource: Mapping[str, Any]) -> str:
        value = self._properties(resource).get(_GUARDS[resource["Type"]][0], _WARNS)
        return "" if value == _WARNS else self._text(value)

    def _properties(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self._values.resolve(resource.get("Properties") or {})
        return properties

    # --- one resource

    def _resource(self, resource: Mapping[str, Any]) -> Iterator[str]:
        kind, properties = resource["Type"], self._properties(resource)
        if kind == _STACK:
            yield "is a stack of its own, whose template is not looked at"
        if kind == _URL:
            yield from self._url(properties)
        if kind in _GRANTS and "Principal" in properties:
            yield from self._grant(kind, properties)
        yield from self._policies(kind, properties)
        for arn in self._each(properties.get("ManagedPolicyArns", [])):
            yield from self._managed(self._text(arn))

    def _url(self, properties: Mapping[str, Any]) -> Iterator[str]:
        function = self._text(properties.get("TargetFunctionArn"))
        for value in self._each(properties.get("AuthType")):
            auth = self._text(value)
            if auth == "NONE":
                yield f"is a public URL: everybody may call {function}, unsigned"
            elif auth != "AWS_IAM":
                yield f"is a URL of {function}, and who may call it is not known here: {auth}"

    def _grant(self, kind: str, properties: Mapping[str, Any]) -> Iterator[str]:
        of = properties.get("FunctionName", properties.get("LayerVersionArn"))
        what = f"{_GRANTS[kind]} {self._text(of)}" if of else _GRANTS[kind]
        limits = [
            f"{name} {self._text(properties[name])}"
            for name in ("OrganizationId", "PrincipalOrgID", "SourceAccount", "SourceArn")
            if name in properties
        ]
        limits += list(self._conditions(properties))
        for principal in self._each(properties["Principal"]):
            if who := self._who("AWS", self._text(principal)):
                yield f"lets {who} {what}{_only(limits)}"

    def _managed(self, arn: str) -> Iterator[str]:
        if found := _MIGHTY.search(arn):
            yield f"has {found[1]}"
        elif not self._is_own(arn) and _is_open(arn):
            yield f"has a managed policy that is not known here: {arn}"

    # --- policies

    def _policies(self, kind: str, value: Any) -> Iterator[str]:
        """Every policy in the properties, however deep."""
        if isinstance(value, list):
            for part in value:
                yield from self._policies(kind, part)
        elif isinstance(value, Mapping):
            if "Statement" in value:
                yield from self._policy(kind, value, trust=False)
                return
            if "Fn::Transform" in value:
                yield f"has properties that are not known here: {_quote(value)}"
            for key, part in value.items():
                if key in _POLICIES:
                    trust = (kind, key) == (_ROLE, "AssumeRolePolicyDocument")
                    for document in self._each(part):
                        yield from self._policy(kind, document, trust=trust)
                else:
                    yield from self._policies(kind, self._values.resolve(part))

    def _policy(self, kind: str, document: Any, *, trust: bool) -> Iterator[str]:
        if isinstance(document, str):
            document = _parsed(document)
        if not isinstance(document, Mapping) or _is_function(document):
            yield f"has a policy that is not known here: {_quote(document)}"
            return
        if "Statement" not in document:
            yield from self._policies(kind, document)
        for statement in self._each(document.get("Statement", [])):
            if not isinstance(statement, Mapping) or _is_function(statement):
                yield f"has a statement that is not known here: {_quote(statement)}"
            elif statement.get("Effect") != "Deny":
                yield from self._statement(statement, trust=trust)

    def _statement(self, statement: Mapping[str, Any], *, trust: bool) -> Iterator[str]:
        limits = list(self._conditions(statement))
        if "Principal" not in statement and "NotPrincipal" not in statement:
            for power in self._powers(statement):
                yield f"{power}{_only(limits)}"
            return
        actions = ", ".join(self._texts(statement, "Action")) or "all but some actions"
        for who in self._principals(statement):
            does = f"may be assumed by {who}" if trust else f"lets {who} do {actions}"
            yield f"{does}{_only(limits)}"

    def _principals(self, statement: Mapping[str, Any]) -> Iterator[str]:
        """Whom the statement names of other accounts, or of none."""
        if "NotPrincipal" in statement:
            yield f"everybody but {_quote(statement['NotPrincipal'])}"
            return
        for principal in self._each(statement["Principal"]):
            if not isinstance(principal, Mapping) or _is_function(principal):
                text = self._text(principal)
                yield _ANYBODY if text == "*" else f"somebody who is not known here: {text}"
                continue
            for kind, named in principal.items():
                for one in self._each(named):
                    if who := self._who(kind, self._text(one)):
                        yield who

    def _who(self, kind: str, text: str) -> str:
        """A principal in words; "" for one of this account, and for a service of AWS."""
        if text == "*":
            return _ANYBODY
        if self._is_own(text):
            return ""
        if kind == "Federated":
            return f"identities of {text}"
        account = _ACCOUNT.fullmatch(text)
        if account is not None:
            number = account[1] or account[2]
            named = "" if account[1] or text.endswith(":root") else f" ({text})"
            return "" if number == self._account else f"account {number}{named}"
        if _is_open(text):
            return f"somebody who is not known here: {text}"
        is_service = text.rpartition("amazonaws.com")[1] and not text.startswith("arn:")
        return "" if is_service else text

    def _powers(self, statement: Mapping[str, Any]) -> Iterator[str]:
        """What of an identity's permissions makes it anybody that it wants to be."""
        on = f" on {', '.join(self._texts(statement, 'Resource')) or 'all but some resources'}"
        if "NotAction" in statement:
            yield f"may do everything{on} but {', '.join(self._texts(statement, 'NotAction'))}"
        for action in self._texts(statement, "Action"):
            pattern = action.lower()
            if pattern in {"*", "*:*"}:
                yield f"may do everything{on}"
            elif _is_open(action):
                yield f"may do what is not known here: {action}{on}"
            elif any(matches(one, pattern) for one in _TO_MORE) and not _names_role(action, on):
                yield f"may {action}{on}, and so give permissions away"

    def _conditions(self, holder: Mapping[str, Any]) -> Iterator[str]:
        """The keys that a condition asks for, each once."""
        condition = holder.get("Condition")
        if not isinstance(condition, Mapping):
            return
        keys = [key for asked in condition.values() if isinstance(asked, Mapping) for key in asked]
        yield from dict.fromkeys(keys)

    # --- values

    def _texts(self, statement: Mapping[str, Any], key: str) -> list[str]:
        return [self._text(value) for value in self._each(statement.get(key, []))]

    def _each(self, value: Any) -> Iterator[Any]:
        """The items of a list, or the one value; where a choice is open, both."""
        value = self._values.resolve(value)
        match value:
            case list():
                for item in value:
                    yield from self._each(item)
            case {"Fn::If": [_, then, otherwise]}:
                yield from self._each(then)
                yield from self._each(otherwise)
            case _ if value != NO_VALUE:
                yield value

    def _text(self, value: Any) -> str:
        """A value as text, with ``${...}`` in the place of what is not known."""
        text = _quote(value)
        match value:
            case str():
                text = value
            case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
                text = f"${{{name}}}"
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                text = f"${{{name}.{attribute}}}"
            case {"Fn::Sub": str(pattern)}:
                text = self._substituted(pattern, {})
            case {"Fn::Sub": [str(pattern), dict(local)]}:
                text = self._substituted(pattern, local)
            case {"Fn::Join": [str(between), list(parts)]}:
                text = between.join(self._text(self._values.resolve(part)) for part in parts)
            case dict() if _is_function(value):
                text = f"${{{text}}}"
        return text

    def _substituted(self, text: str, local: Mapping[str, Any]) -> str:
        def known(match: re.Match[str]) -> str:
            return self._text(self._values.resolve(local.get(match[1], {"Ref": match[1]})))

        return _VARIABLE.sub(known, text)

    def _is_own(self, text: str) -> bool:
        """A resource that the template makes: of this account, and looked at by itself."""
        match = _OWN.fullmatch(text)
        kind = self._resources.get(match[1], {}).get("Type", "") if match else ""
        return kind.startswith("AWS::") and not kind.startswith("AWS::CloudFormation::")


def _names_role(action: str, on: str) -> bool:
    """To pass a role that is named is what many functions are for."""
    return action.lower() == "iam:passrole" and "*" not in on


def _is_function(value: Mapping[str, Any]) -> bool:
    """Something that only CloudFormation works out."""
    return any(key == "Ref" or key.startswith("Fn::") for key in value)


def _is_open(text: str) -> bool:
    """Something of it is known only in a stack, or only when it is deployed."""
    return "${" in text or "{{resolve:" in text


def _only(limits: list[str]) -> str:
    return f", only under a condition on {', '.join(limits)}" if limits else ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _quote(value: Any) -> str:
    """The value as the template has it, cut where it is long."""
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
