"""Takes CodeDeploy out of an expanded template, and keeps what it was told as our defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tidegate.build.references import references, target_of, used_conditions
from tidegate.build.template import Template
from tidegate.core.artifact import TemplateDefaults
from tidegate.core.errors import TemplateError

_UPDATE: Final = "CodeDeployLambdaAliasUpdate"
_PREFIX: Final = "CodeDeployDefault.Lambda"
_SAM_ROLE: Final = "CodeDeployServiceRole"
_MEND: Final = "Write it in the manifest instead, and take `DeploymentPreference` off the function."


def remove_codedeploy(template: Template, path: str) -> TemplateDefaults:
    """Take CodeDeploy's part out of the template; what it said.

    Raises ``TemplateError`` when something else refers to it, or when it cannot be understood.
    """
    conditions = used_conditions(template)
    updates = _take_updates(template)
    groups = {id_: _resource(template, id_) for id_ in _named(updates, "DeploymentGroupName")}
    defaults = _defaults(updates, groups, template, path)
    removed = {*groups, *_named(updates, "ApplicationName")}
    _remove(template["Resources"], removed)
    if updates and _SAM_ROLE not in set(references(template)):
        removed.add(_SAM_ROLE)
        _remove(template["Resources"], {_SAM_ROLE})
    _refuse_dangling(template, removed, path)
    _remove_conditions(template, conditions)
    return defaults


def _take_updates(template: Template) -> dict[str, Mapping[str, Any]]:
    """The update policies by the alias's logical id, taken off the aliases."""
    updates = {}
    for logical_id, resource in template["Resources"].items():
        policy = resource.get("UpdatePolicy")
        if isinstance(policy, dict) and _UPDATE in policy:
            updates[logical_id] = policy.pop(_UPDATE)
            if not policy:
                del resource["UpdatePolicy"]
    return updates


def _named(updates: Mapping[str, Mapping[str, Any]], key: str) -> list[str]:
    return _unique(filter(None, (target_of(update.get(key)) for update in updates.values())))


def _resource(template: Template, logical_id: str) -> Mapping[str, Any]:
    resource: Mapping[str, Any] = template["Resources"].get(logical_id, {})
    return resource


def _defaults(
    updates: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Mapping[str, Any]],
    template: Template,
    path: str,
) -> TemplateDefaults:
    properties = [group.get("Properties", {}) for group in groups.values()]
    strategies = _unique(_strategy(p.get("DeploymentConfigName"), path) for p in properties)
    if len(strategies) > 1:
        raise TemplateError(
            f"{path}: the functions' `DeploymentPreference` differ ({', '.join(strategies)}), and"
            " all functions of a stack shift together.",
            mend="Give them the same `Type`.",
        )
    alarms = [_alarms(p.get("AlarmConfiguration") or {}, template, path) for p in properties]
    return TemplateDefaults(
        strategy=strategies[0] if strategies else "",
        pre_traffic=_hooks(updates, "BeforeAllowTrafficHook", template, path),
        post_traffic=_hooks(updates, "AfterAllowTrafficHook", template, path),
        alarms=tuple(_unique(name for names in alarms for name in names)),
    )


def _strategy(config: Any, path: str) -> str:
    """The name of a deployment configuration, without CodeDeploy's prefix where it is theirs."""
    if isinstance(config, Mapping) and isinstance(substitution := config.get("Fn::Sub"), list):
        text, variables = substitution
        for name, value in variables.items():
            text = text.replace(f"${{{name}}}", str(value))
        config = text
    if not isinstance(config, str):
        raise TemplateError(
            f"{path}: `DeploymentPreference.Type` is {config!r}, which is known only in a stack.",
            mend=_MEND,
        )
    return config.removeprefix(_PREFIX)


def _alarms(configuration: Mapping[str, Any], template: Template, path: str) -> list[str]:
    if "Fn::If" in configuration:
        raise TemplateError(
            f"{path}: `DeploymentPreference.Alarms` depends on a condition, which is known only in"
            " a stack.",
            mend=_MEND,
        )
    alarms = configuration.get("Alarms", [])
    return [_name(alarm.get("Name"), "Alarms", template, path) for alarm in alarms]


def _hooks(
    updates: Mapping[str, Mapping[str, Any]], key: str, template: Template, path: str
) -> tuple[str, ...]:
    given = (update[key] for update in updates.values() if update.get(key))
    return tuple(_unique(_name(value, "Hooks", template, path) for value in given))


def _name(value: Any, key: str, template: Template, path: str) -> str:
    """A logical id, or a physical name that is written out."""
    if isinstance(value, str):
        return value
    name = target_of(value)
    if name not in template["Resources"]:
        raise TemplateError(
            f"{path}: `DeploymentPreference.{key}` has {value!r}, which is known only in a stack.",
            mend=_MEND,
        )
    return name


def _remove(section: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        section.pop(name, None)


def _refuse_dangling(template: Template, removed: set[str], path: str) -> None:
    for section in ("Resources", "Outputs"):
        for name, part in template.get(section, {}).items():
            if lost := removed.intersection(references(part)):
                raise TemplateError(
                    f"{path}: {section}.{name} refers to {', '.join(sorted(lost))}, a part of"
                    " CodeDeploy that Tidegate replaces.",
                    mend="Remove the reference.",
                )


def _remove_conditions(template: Template, used_before: set[str]) -> None:
    """Remove the conditions that were asked only by what is gone, and by each other."""
    conditions = template.get("Conditions", {})
    while unused := (used_before & set(conditions)) - used_conditions(template):
        _remove(conditions, unused)
    if not conditions:
        template.pop("Conditions", None)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
