"""CloudFormation in memory: change sets and updates of templates with functions and aliases.

A template is JSON. Functions, versions and aliases come into being; any other resource is only a
name. ``Ref``, ``Fn::GetAtt`` of a version, and the ``Fn::If`` of a pinned alias are understood.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tidegate.build.references import target_of
from tidegate.core.errors import ChangeSetFailed, ChangeSetStale, StackBusy
from tidegate.core.ports import (
    Artifacts,
    Change,
    ChangeSet,
    ResourceChange,
    StackEvent,
    StackSpec,
    StackState,
)
from tidegate.testing.functions import MemoryFunctions

_FUNCTION = "AWS::Lambda::Function"
_VERSION = "AWS::Lambda::Version"
_ALIAS = "AWS::Lambda::Alias"
_LAYER = "AWS::Lambda::LayerVersion"
_STACK = "AWS::CloudFormation::Stack"
_OBJECT = ("S3Bucket", "S3Key", "S3ObjectVersion")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_Resource = Mapping[str, Any]


@dataclass
class _Stack:
    """A stack with what it was last made from."""

    status: str
    spec: StackSpec
    template: Mapping[str, _Resource] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    generation: int = 0  # rises with every operation: a change set is of one of them
    token: str = ""  # of the last operation
    events: list[tuple[str, StackEvent]] = field(default_factory=list)  # each with its token
    changing: list[ResourceChange] = field(default_factory=list)  # what the operation works on

    def tell(self, logical_id: str, type_: str, status: str, reason: str = "") -> None:
        """Let something have happened, a second after what happened before."""
        number = len(self.events)
        event = StackEvent(
            id=f"event-{number}",
            at=_START + timedelta(seconds=number),
            logical_id=logical_id,
            type=type_,
            status=status,
            reason=reason,
            of_stack=type_ == _STACK,
        )
        self.events.append((self.token, event))


@dataclass
class _Made:
    """A change set with what it was made from."""

    change_set: ChangeSet
    spec: StackSpec
    generation: int
    executed: bool = False


@dataclass
class MemoryStacks:
    """Stacks whose operations end when they were polled ``polls`` times."""

    artifacts: Artifacts
    functions: MemoryFunctions
    polls: int = 1
    fail_next: list[str] = field(default_factory=list)  # reasons of operations that are to fail
    refuse_rollback: bool = False  # a failed update cannot be rolled back either
    operation_of_others: bool = False  # somebody else works on every stack
    images: dict[str, str] = field(default_factory=dict)  # what tags stand for: URI -> digest

    def __post_init__(self) -> None:
        self._stacks: dict[str, _Stack] = {}
        self._made: dict[str, _Made] = {}
        self._tokens: set[str] = set()
        self._pending: dict[str, tuple[int, str]] = {}  # polls left, status to come

    def preview(self, spec: StackSpec, token: str) -> ChangeSet | None:
        """Computed at the second call with the same token."""
        self._refuse_busy(spec.stack_name)
        arn = f"arn:aws:cloudformation:eu-west-1:111111111111:changeSet/{token}/{spec.stack_name}"
        if arn in self._made:
            return self._made[arn].change_set
        stack = self._stacks.get(spec.stack_name)
        before = stack.template if stack else {}
        after = self._read(spec)
        changes = _changes(before, after, stack.spec.parameters if stack else {}, spec.parameters)
        change_set = ChangeSet(arn, spec.stack_name, stack is None, tuple(changes))
        self._made[arn] = _Made(change_set, spec, stack.generation if stack else 0)
        return None

    def execute(self, change_set: str, token: str) -> None:
        """Begin; a change set of an earlier generation of the stack is stale."""
        made = self._made.get(change_set)
        if made is not None and made.executed:
            return
        stack = self._stacks.get(made.spec.stack_name) if made else None
        if made is None or made.generation != (stack.generation if stack else 0):
            raise ChangeSetStale(f"The stack changed after {change_set} was made.")
        made.executed = True
        self._tokens.add(token)
        self._operate(made.spec, token)

    def state(self, stack_name: str) -> StackState:
        """Each look brings an operation under way nearer to its end."""
        self._progress(stack_name)
        stack = self._stacks.get(stack_name)
        if stack is None:
            return StackState(exists=False)
        return StackState(
            exists=True,
            status=stack.status,
            reason=stack.reason,
            parameters=dict(stack.spec.parameters),
            resources=dict(stack.resources),
        )

    def events(self, stack_name: str, token: str, after: str = "") -> list[StackEvent]:
        """What the operation has done so far, later than this event."""
        stack = self._stacks.get(stack_name)
        ours = [event for of, event in stack.events if of == token] if stack else []
        seen = next((n for n, event in enumerate(ours, start=1) if event.id == after), 0)
        return ours[seen:]

    def update(self, spec: StackSpec, token: str) -> bool:
        """Begin an update, unless template and parameters are in force already."""
        if token in self._tokens:
            return True
        self._refuse_busy(spec.stack_name)
        stack = self._stacks[spec.stack_name]
        same_parameters = dict(stack.spec.parameters) == dict(spec.parameters)
        if same_parameters and stack.template == self._read(spec):
            return False
        self._tokens.add(token)
        self._operate(spec, token)
        return True

    def delete(self, stack_name: str, token: str) -> None:
        """Begin to delete, if it is there."""
        self._tokens.add(token)
        stack = self._stacks.get(stack_name)
        if stack is None or stack_name in self._pending:
            return
        failing = bool(self.fail_next)
        stack.reason = self.fail_next.pop(0) if failing else ""
        stack.status, stack.token = "DELETE_IN_PROGRESS", token
        stack.tell(stack_name, _STACK, stack.status)
        self._pending[stack_name] = (self.polls, "DELETE_FAILED" if failing else "DELETE_COMPLETE")

    def overtake(self, stack_name: str, status: str, reason: str) -> None:
        """Somebody else worked on the stack, and left it so."""
        stack = self._stacks[stack_name]
        stack.generation += 1
        stack.status, stack.reason = status, reason

    def _read(self, spec: StackSpec) -> Mapping[str, _Resource]:
        place = urlsplit(spec.template_url)
        version = parse_qs(place.query).get("versionId", [""])[0]
        key = place.path.removeprefix("/")
        template = json.loads(self.artifacts.read(place.netloc, key, version))
        unknown = spec.parameters.keys() - template.get("Parameters", {}).keys()
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ChangeSetFailed(f"Parameters [{names}] do not exist in the template")
        defaults = {name: p.get("Default") for name, p in template.get("Parameters", {}).items()}
        return _name_aliases(template["Resources"], {**defaults, **spec.parameters})

    def _refuse_busy(self, stack_name: str) -> None:
        if self.operation_of_others or stack_name in self._pending:
            raise StackBusy(f"{stack_name} is being worked on.")

    def _operate(self, spec: StackSpec, token: str) -> None:
        """Begin to make the stack what the specification says, or to fail at it."""
        known = self._stacks.get(spec.stack_name)
        verb = "UPDATE" if known else "CREATE"
        stack = known or _Stack(status="", spec=spec)
        self._stacks[spec.stack_name] = stack
        stack.generation += 1
        stack.status, stack.token = f"{verb}_IN_PROGRESS", token
        template = self._read(spec)
        stack.changing = _changes(stack.template, template, stack.spec.parameters, spec.parameters)
        stack.tell(spec.stack_name, _STACK, stack.status)
        for change in stack.changing:
            stack.tell(change.logical_id, change.type, stack.status)
        stack.reason = self.fail_next.pop(0) if self.fail_next else ""
        if stack.reason:
            ended = "ROLLBACK_COMPLETE" if verb == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
            ended = "UPDATE_ROLLBACK_FAILED" if self.refuse_rollback else ended
        else:
            ended = f"{verb}_COMPLETE"
            stack.resources = self._make(stack, template, spec.parameters)
            stack.template, stack.spec = template, spec
        self._pending[spec.stack_name] = (self.polls, ended)

    def _progress(self, stack_name: str) -> None:
        if stack_name not in self._pending:
            return
        left, ended = self._pending[stack_name]
        if left > 0:
            self._pending[stack_name] = (left - 1, ended)
            return
        del self._pending[stack_name]
        stack = self._stacks[stack_name]
        verb = stack.status.partition("_")[0]
        how = f"{verb}_FAILED" if stack.reason else f"{verb}_COMPLETE"
        for change in stack.changing:
            stack.tell(change.logical_id, change.type, how, stack.reason)
        stack.status, stack.changing = ended, []
        stack.tell(stack_name, _STACK, ended, stack.reason)
        if ended == "DELETE_COMPLETE":
            del self._stacks[stack_name]

    def _make(
        self, stack: _Stack, template: Mapping[str, _Resource], parameters: Mapping[str, str]
    ) -> dict[str, str]:
        made: dict[str, str] = {}
        for kind in (_LAYER, _FUNCTION, _VERSION, _ALIAS):
            for name, resource in template.items():
                if resource["Type"] == kind:
                    made[name] = self._make_one(name, resource, stack, made, parameters)
        others = template.keys() - made.keys()
        return {**made, **{name: f"physical-{name}" for name in others}}

    def _make_one(
        self,
        name: str,
        resource: _Resource,
        stack: _Stack,
        made: Mapping[str, str],
        parameters: Mapping[str, str],
    ) -> str:
        properties = resource["Properties"]
        physical = f"{stack.spec.stack_name}-{name}"
        if resource["Type"] == _LAYER:
            before = stack.template.get(name, {"Properties": {}})
            if name in stack.resources and before["Properties"] == properties:
                return stack.resources[name]
            return self.functions.publish_layer(
                physical, self._digest(properties["Content"], parameters)
            )
        if resource["Type"] == _FUNCTION:
            layers = [made[target_of(layer)] for layer in properties.get("Layers", ())]
            code = {"CodeSha256": self._digest(properties["Code"], parameters)}
            self.functions.deploy(physical, {**properties, "Layers": layers, **code})
            return physical
        function = made[target_of(properties["FunctionName"])]
        if resource["Type"] == _VERSION:
            return self._make_version(name, resource, stack, function, parameters)
        version = _version(properties["FunctionVersion"], made, parameters)
        return self._make_alias(name, resource, stack, function, version)

    def _make_version(
        self,
        name: str,
        resource: _Resource,
        stack: _Stack,
        function: str,
        parameters: Mapping[str, str],
    ) -> str:
        """CloudFormation publishes another one when a property of the resource changes."""
        before = stack.template.get(name)
        if before is None or _modified(before, resource, stack.spec.parameters, parameters):
            return self.functions.publish(function)
        return stack.resources[name]

    def _digest(self, code: Any, parameters: Mapping[str, str]) -> str:
        """Of the bytes that Lambda takes when it is told so; of others' code only its place."""
        if isinstance(code, Mapping) and isinstance(code.get("S3Bucket"), Mapping):
            where = [_value(code.get(name), parameters) for name in _OBJECT]
            return f"sha256:{self.artifacts.sha256(*where)}"
        if isinstance(code, Mapping) and (uri := _value(code.get("ImageUri"), parameters)):
            return self.images.get(uri) or uri.partition("@")[2]
        return "sha256:" + hashlib.sha256(str(code).encode()).hexdigest()

    def _make_alias(
        self, name: str, resource: _Resource, stack: _Stack, function: str, version: str
    ) -> str:
        """CloudFormation writes an alias only when its template gives another version."""
        alias = resource["Properties"]["Name"]
        before = stack.template.get(name)
        if before is None or version != _version(
            before["Properties"]["FunctionVersion"], stack.resources, stack.spec.parameters
        ):
            self.functions.aliases.set(function, alias, version)
        return f"arn:aws:lambda:eu-west-1:111111111111:function:{function}:{alias}"


def _name_aliases(
    resources: Mapping[str, _Resource], values: Mapping[str, Any]
) -> Mapping[str, _Resource]:
    """The resources, with the names of aliases that parameters give."""
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if resource["Type"] == _ALIAS and not isinstance(properties["Name"], str):
            properties["Name"] = values[target_of(properties["Name"])]
    return resources


def _value(value: Any, parameters: Mapping[str, str]) -> str:
    """A text, or the parameter that is referred to."""
    return value if isinstance(value, str) else parameters.get(target_of(value), "")


def _version(value: Any, made: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """The version that an alias's ``FunctionVersion`` comes to."""
    if isinstance(value, str):
        return value
    if "Fn::If" in value:
        _, pinned, free = value["Fn::If"]
        pin = parameters.get(pinned["Ref"], "")
        return pin or _version(free, made, parameters)
    return made[value["Fn::GetAtt"][0]].rpartition(":")[2]


def _changes(
    before: Mapping[str, _Resource],
    after: Mapping[str, _Resource],
    old: Mapping[str, str],
    new: Mapping[str, str],
) -> list[ResourceChange]:
    added = [ResourceChange(n, r["Type"], Change.ADD) for n, r in after.items() if n not in before]
    gone = [
        ResourceChange(n, r["Type"], Change.REMOVE) for n, r in before.items() if n not in after
    ]
    kept = [
        ResourceChange(name, resource["Type"], Change.MODIFY, names)
        for name, resource in after.items()
        if name in before and (names := _modified(before[name], resource, old, new))
    ]
    return [*added, *kept, *gone]


def _modified(
    before: _Resource, after: _Resource, old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[str, ...]:
    one, other = before.get("Properties", {}), after.get("Properties", {})
    names = sorted(one.keys() | other.keys())
    return tuple(
        name
        for name in names
        if one.get(name) != other.get(name)
        or any(
            old.get(parameter) != new.get(parameter)
            and f'"{parameter}"' in json.dumps(other.get(name))
            for parameter in old.keys() | new.keys()
        )
    )
