"""Takes CodeDeploy out of an expanded template, and keeps what it was told as our defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from tidegate.build.references import references, target_of, used_conditions
from tidegate.build.report import Report
from tidegate.build.template import Template, of_type, shown
from tidegate.core.errors import TemplateError
from tidegate.core.model.artifact import TemplateDefaults
from tidegate.core.model.manifest import TOPIC_ARN
from tidegate.core.model.plan import NotificationPlan, Step, Trigger
from tidegate.core.model.strategy import NAMED
from tidegate.core.template.values import Values

T = TypeVar("T")

_UPDATE: Final = "CodeDeployLambdaAliasUpdate"
_PREFIX: Final = "CodeDeployDefault.Lambda"
_SAM_ROLE: Final = "CodeDeployServiceRole"
_CONFIG: Final = "AWS::CodeDeploy::DeploymentConfig"
_GENTLE: Final = "Canary10Percent5Minutes"  # to propose where no function has a better one
_OF_DEPLOYMENT: Final = "Deployment"
TOPIC: Final = "AWS::SNS::Topic"
_HOOKS: Final = {"pre_traffic": "BeforeAllowTrafficHook", "post_traffic": "AfterAllowTrafficHook"}
_DECIDED_BY: Final = {
    "strategy": "the stage's `strategy`",
    "alarms": "the stage's `checks.alarms`",
    "pre_traffic": "`hooks.pre_traffic`",
    "post_traffic": "`hooks.post_traffic`",
}


class CodeDeploy:
    """What an expanded template hands to CodeDeploy, but for the resources that are ``absent``.

    ``parameters`` are a stage's, for what is decided by them.
    """

    def __init__(
        self,
        template: Template,
        path: str,
        absent: Collection[str] = frozenset(),
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self._template, self._path = template, path
        self._values = Values(template, parameters or {})
        self._updates: dict[str, Mapping[str, Any]] = {
            logical_id: policy[_UPDATE]
            for logical_id, resource in template["Resources"].items()
            if isinstance((policy := _policy(resource)).get(_UPDATE), dict)
            and logical_id not in absent
        }
        self._groups = list(_unique(_targets(self._updates, "DeploymentGroupName")))

    @property
    def shifts(self) -> bool:
        """Whether a deployment group is left: what is switched off has none."""
        return bool(self._groups)

    def defaults(self, decided: Collection[str] = (), stage: str = "") -> TemplateDefaults:
        """What it was told, by whatever the manifest has ``decided`` otherwise for the stage.

        Raises ``TemplateError`` for what is known only in a stack, and not decided.
        """
        nothing: tuple[str, ...] = ()

        def known(field: str, find: Callable[[], T], otherwise: T) -> T:
            try:
                return find()
            except TemplateError:
                if field in decided:
                    return otherwise
                raise

        strategy: tuple[str, tuple[Step, ...] | None] = ("", None)
        strategy = known("strategy", lambda: self._strategy(stage), strategy)
        hooks = {
            field: known(field, partial(self._hooks, key), nothing) for field, key in _HOOKS.items()
        }
        return TemplateDefaults(
            strategy=strategy[0],
            steps=strategy[1],
            pre_traffic=hooks["pre_traffic"],
            post_traffic=hooks["post_traffic"],
            alarms=known("alarms", self._alarms, nothing),
            notifications=tuple(self._notifications()),
        )

    def remove(self, report: Report) -> None:
        """Take it out. Raises ``TemplateError`` when something else refers to it."""
        conditions = used_conditions(self._template)
        for logical_id in self._updates:
            resource = self._template["Resources"][logical_id]
            del resource["UpdatePolicy"][_UPDATE]
            if not resource["UpdatePolicy"]:
                del resource["UpdatePolicy"]
            report.change(logical_id, "CodeDeploy no longer moves it: its update policy is gone")
        self._notice_triggers(report)
        removed = {*self._groups, *_targets(self._updates, "ApplicationName")}
        _remove(self._template["Resources"], removed)
        removed |= self._remove_what_only_groups_used()
        self._remove_permissions(removed, report)
        self._refuse_dangling(removed)
        for logical_id in sorted(removed):
            report.remove(logical_id, "CodeDeploy's: Tidegate shifts the traffic")
        self._remove_conditions(conditions)

    def _strategy(self, stage: str) -> tuple[str, tuple[Step, ...] | None]:
        by_group = {
            group: self._config(self._group(group).get("DeploymentConfigName"))
            for group in self._groups
        }
        found = _unique(by_group.values())
        if len(found) > 1:
            raise self._difference({group: name for group, (name, _) in by_group.items()}, stage)
        return found[0] if found else ("", None)

    def _difference(self, types: Mapping[str, str], stage: str) -> TemplateError:
        """What to write where functions have different types, in one file or the other."""
        said = ", ".join(f"{self._functions_of(group)} {name}" for group, name in types.items())
        gentle = next((name for name in types.values() if NAMED.get(name)), _GENTLE)
        return TemplateError(
            f"{self._path}: the functions' `DeploymentPreference.Type` differ ({said}), and all"
            " functions of a stack shift together.",
            remedy=f"""Write one for all in tidegate.yaml, such as

stages:
  - name: {stage or "<name>"}
    strategy: {gentle}

or in {self._path}, and remove `Type` from the functions' own `DeploymentPreference`:

Globals:
  Function:
    DeploymentPreference:
      Type: {gentle}
""",
        )

    def _functions_of(self, group: str) -> str:
        """The functions whose aliases the deployment group moves, by their logical ids."""
        aliases = (
            alias
            for alias, update in self._updates.items()
            if target_of(update.get("DeploymentGroupName")) == group
        )
        resources = self._template["Resources"]
        named = (resources[alias].get("Properties", {}).get("FunctionName") for alias in aliases)
        return " and ".join(filter(None, map(target_of, named))) or group

    def _config(self, config: Any) -> tuple[str, tuple[Step, ...] | None]:
        """The name of a deployment configuration, and its steps where the template has them."""
        resource = self._template["Resources"].get(target_of(config), {})
        if resource.get("Type") == _CONFIG:
            properties = resource.get("Properties", {})
            return target_of(config), self._steps(target_of(config), properties)
        match config:
            case {"Fn::Sub": [str(text), dict(variables)]}:
                for name, value in variables.items():
                    text = text.replace(f"${{{name}}}", str(value))
                config = text
        if not isinstance(config, str):
            raise self._only_in_a_stack("Type", config, "strategy")
        return config.removeprefix(_PREFIX), None

    def _steps(self, logical_id: str, properties: Mapping[str, Any]) -> tuple[Step, ...]:
        """The steps of a configuration of the team's own."""
        routing = properties.get("TrafficRoutingConfig") or {}
        try:
            return tuple(_steps(routing))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._only_in_a_stack(
                "Type", f"{logical_id}, which has {shown(routing)}", "strategy"
            ) from None

    def _alarms(self) -> tuple[str, ...]:
        names = []
        for group in self._groups:
            configuration = self._group(group).get("AlarmConfiguration") or {}
            if not isinstance(configuration, dict) or "Fn::If" in configuration:
                raise self._only_in_a_stack("Alarms", configuration, "alarms")
            if _is_false(configuration.get("Enabled", True)):
                continue
            alarms = configuration.get("Alarms", [])
            if not isinstance(alarms, list) or not all(isinstance(a, dict) for a in alarms):
                raise self._only_in_a_stack("Alarms", configuration, "alarms")
            names += [self._name(a.get("Name"), "Alarms", "alarms") for a in alarms]
        return tuple(_unique(names))

    def _hooks(self, key: str) -> tuple[str, ...]:
        field = next(field for field, of_field in _HOOKS.items() if of_field == key)
        given = (update[key] for update in self._updates.values() if update.get(key))
        return tuple(_unique(self._name(value, "Hooks", field) for value in given))

    def _name(self, value: Any, key: str, field: str) -> str:
        """A logical id, or a physical name that is written out."""
        if isinstance(value, str):
            return value
        name = target_of(value)
        if name not in self._template["Resources"]:
            raise self._only_in_a_stack(key, value, field)
        return name

    def _group(self, logical_id: str) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = (
            self._template["Resources"].get(logical_id, {}).get("Properties", {})
        )
        return properties

    def _only_in_a_stack(self, key: str, value: Any, field: str) -> TemplateError:
        return TemplateError(
            f"{self._path}: `DeploymentPreference.{key}` is {shown(value)}, which is known only in"
            " a stack.",
            remedy=f"Say it in the manifest instead: {_DECIDED_BY[field]} wins over the template.",
        )

    def _notifications(self) -> Iterator[NotificationPlan]:
        """Each topic once, with all that any group tells it."""
        told: dict[str, list[Trigger]] = {}
        for _, trigger in self._triggers():
            topic, events = self._topic(trigger), _triggers(trigger)
            if topic and events:
                told.setdefault(topic, []).extend(events)
        for topic, wanted in told.items():
            yield NotificationPlan(topic=topic, events=tuple(e for e in Trigger if e in wanted))

    def _triggers(self) -> Iterator[tuple[str, Any]]:
        """What each group has as a trigger, with the group's logical id."""
        for group in self._groups:
            triggers = self._group(group).get("TriggerConfigurations") or []
            for trigger in triggers if isinstance(triggers, list) else [triggers]:
                yield group, trigger

    def _topic(self, trigger: Any) -> str:
        """A topic's logical id or ARN; "" when only a stack knows it."""
        given = trigger.get("TriggerTargetArn") if isinstance(trigger, Mapping) else None
        value = self._values.resolve(given)
        if isinstance(value, Mapping) and isinstance(text := value.get("Fn::Sub"), str):
            value = text
        if isinstance(value, str):
            return value if re.fullmatch(TOPIC_ARN, value) else ""
        resource = self._template["Resources"].get(name := target_of(value), {})
        return name if resource.get("Type") == TOPIC else ""

    def _notice_triggers(self, report: Report) -> None:
        for group, trigger in self._triggers():
            if not self._topic(trigger) and not self._is_parameter(trigger):
                report.notice(
                    f"{group}.TriggerConfigurations: {shown(trigger)} is known only in a stack, and"
                    " nobody is told. Name the topic in the manifest: `notifications`."
                )
            elif not _triggers(trigger):
                report.notice(
                    f"{group}.TriggerConfigurations: {shown(trigger)} is about instances, which"
                    " Lambda does not have: nobody is told."
                )

    def _is_parameter(self, trigger: Any) -> bool:
        """A stage may say which topic it is."""
        name = target_of(trigger.get("TriggerTargetArn")) if isinstance(trigger, Mapping) else ""
        return bool(self._template.get("Parameters", {}).get(name, {}).get("Type") == "String")

    def _remove_what_only_groups_used(self) -> set[str]:
        """SAM's role for CodeDeploy, and the configurations that nothing else names."""
        candidates = [_SAM_ROLE] if self._updates else []
        candidates += of_type(self._template, _CONFIG)
        used = set(references(self._template))
        unused = {name for name in candidates if name in self._template["Resources"]} - used
        _remove(self._template["Resources"], unused)
        return unused

    def _remove_permissions(self, removed: set[str], report: Report) -> None:
        """Hooks were allowed to answer the deployments that are gone; they return their answer."""
        for logical_id, resource in self._template["Resources"].items():
            for owner, key in _policies(resource):
                document = owner[key].get("PolicyDocument", {})
                statements = document.get("Statement")
                kept = [one for one in _listed(statements) if not _answers(one, removed)]
                whole_resource = owner is resource and not kept
                if len(kept) == len(_listed(statements)) or whole_resource:
                    continue
                document["Statement"] = kept
                report.change(logical_id, "what it was allowed to tell CodeDeploy is gone")
            properties = resource.get("Properties", {})
            if isinstance(policies := properties.get("Policies"), list):
                properties["Policies"] = [one for one in policies if not _is_empty(one)]

    def _refuse_dangling(self, removed: set[str]) -> None:
        for section in ("Resources", "Outputs"):
            for name, part in self._template.get(section, {}).items():
                if lost := removed.intersection(references(part)):
                    raise TemplateError(
                        f"{self._path}: {section}.{name} refers to {', '.join(sorted(lost))}, a"
                        " part of CodeDeploy that Tidegate replaces.",
                        remedy="Remove the reference.",
                    )

    def _remove_conditions(self, used_before: set[str]) -> None:
        """Remove the conditions that were asked only by what is gone, and by each other."""
        conditions = self._template.get("Conditions", {})
        while unused := (used_before & set(conditions)) - used_conditions(self._template):
            _remove(conditions, unused)
        if not conditions:
            self._template.pop("Conditions", None)


def _policies(resource: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Where a resource holds IAM policies of its own: each place, and the key there."""
    properties = resource.get("Properties")
    if not isinstance(properties, dict) or not str(resource.get("Type")).startswith("AWS::IAM::"):
        return
    if "PolicyDocument" in properties:
        yield resource, "Properties"
    for number, policy in enumerate(_listed(properties.get("Policies"))):
        if isinstance(policy, dict) and isinstance(policy.get("PolicyDocument"), dict):
            yield properties["Policies"], number


def _answers(statement: Any, removed: Collection[str]) -> bool:
    """It is about nothing but deployments of what is removed."""
    if not isinstance(statement, dict) or not set(references(statement)) & set(removed):
        return False
    actions = _listed(statement.get("Action"))
    return all(str(action).lower().startswith("codedeploy:") for action in actions)


def _is_empty(policy: Any) -> bool:
    return isinstance(policy, dict) and policy.get("PolicyDocument", {}).get("Statement") == []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _policy(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    policy = resource.get("UpdatePolicy")
    return policy if isinstance(policy, dict) else {}


def _targets(updates: Mapping[str, Mapping[str, Any]], key: str) -> Iterator[str]:
    return filter(None, (target_of(update.get(key)) for update in updates.values()))


def _steps(routing: Mapping[str, Any]) -> Iterator[Step]:
    """The steps of CodeDeploy's two shapes. Raises when they are not written out."""
    if routing["Type"] == "TimeBasedCanary":
        canary = routing["TimeBasedCanary"]
        weight, minutes = int(canary["CanaryPercentage"]) / 100, int(canary["CanaryInterval"])
        yield Step(weight=weight, bake_seconds=minutes * 60)
    elif routing["Type"] == "TimeBasedLinear":
        linear = routing["TimeBasedLinear"]
        percent, minutes = int(linear["LinearPercentage"]), int(linear["LinearInterval"])
        for weight in range(percent, 100, percent):
            yield Step(weight=weight / 100, bake_seconds=minutes * 60)
    elif routing["Type"] != "AllAtOnce":
        raise ValueError(routing["Type"])


def _triggers(trigger: Any) -> list[Trigger]:
    """CodeDeploy's events of deployments; those of instances have no meaning in Lambda."""
    events = trigger.get("TriggerEvents") if isinstance(trigger, Mapping) else None
    names = events if isinstance(events, list) else []
    words = [name.removeprefix(_OF_DEPLOYMENT).lower() for name in names if isinstance(name, str)]
    return [trigger for trigger in Trigger if trigger in words]


def _is_false(value: Any) -> bool:
    return str(value).lower() == "false"


def _remove(section: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        section.pop(name, None)


def _unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
