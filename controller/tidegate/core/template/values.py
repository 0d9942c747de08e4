"""Works out what parts of a template come to once the parameters of a stage are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

NO_VALUE: Final = {"Ref": "AWS::NoValue"}
_IN_PARAMETER_STORE: Final = "AWS::SSM::Parameter::"  # the parameter is a name, `Ref` its value
_LIST: Final = re.compile(r"CommaDelimitedList|List<.*>")
_VARIABLE: Final = re.compile(r"\$\{([^!}]+)\}")


class Values:
    """The values of one stage: its parameters, and the template's defaults for the others.

    ``known`` are the pseudo parameters that are known, such as ``AWS::AccountId``. What depends on
    more than that (resources, imports) stays as it is.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Mapping[str, str],
        known: Mapping[str, str] | None = None,
    ) -> None:
        declared = template.get("Parameters") or {}
        self._parameters: dict[str, Any] = dict(known or {}) | {
            name: _typed(parameters.get(name, parameter.get("Default")), parameter.get("Type"))
            for name, parameter in declared.items()
            if (name in parameters or "Default" in parameter)
            and not str(parameter.get("Type")).startswith(_IN_PARAMETER_STORE)
        }
        self._conditions: Mapping[str, Any] = template.get("Conditions") or {}
        self._mappings: Mapping[str, Any] = template.get("Mappings") or {}
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find,
            "Fn::Sub": self._sub,
        }

    def resolve(self, value: Any) -> Any:
        """The value with everything in its place that is known."""
        if isinstance(value, list):
            resolved = [self.resolve(item) for item in value]
            return [item for item in resolved if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name in self._functions:
                return self._functions[name](argument)
        resolved_items = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved_items.items() if item != NO_VALUE}

    def holds(self, name: str) -> bool | None:
        """Whether the condition holds; None when that is known only in a stack."""
        return self._truth(self._conditions.get(name))

    def _ref(self, name: Any) -> Any:
        return self._parameters.get(name, {"Ref": name}) if isinstance(name, str) else {"Ref": name}

    def _if(self, argument: Any) -> Any:
        match argument:
            case [str(name), then, otherwise]:
                truth = self.holds(name)
                if truth is not None:
                    return self.resolve(then if truth else otherwise)
        return {"Fn::If": argument}

    def _find(self, argument: Any) -> Any:
        keys = self.resolve(argument)
        found: Any = self._mappings
        for key in keys if isinstance(keys, list) else [None]:
            found = found.get(key) if isinstance(found, Mapping) and isinstance(key, str) else None
        return {"Fn::FindInMap": argument} if found is None else found

    def _sub(self, argument: Any) -> Any:
        match argument:
            case str(text):
                local: Any = {}
            case [str(text), dict(variables)]:
                local = self.resolve(variables)
            case _:
                return {"Fn::Sub": argument}
        known = {**self._parameters, **local} if isinstance(local, dict) else {}
        names = _VARIABLE.findall(text)
        if not all(isinstance(known.get(name), str) for name in names):
            return {"Fn::Sub": argument}
        return _VARIABLE.sub(lambda match: known[match[1]], text)

    def _truth(self, condition: Any) -> bool | None:
        match condition:
            case {"Condition": str(name)}:
                return self.holds(name)
            case {"Fn::Equals": [left, right]}:
                left, right = self.resolve(left), self.resolve(right)
                unknown = isinstance(left, dict | list) or isinstance(right, dict | list)
                return None if unknown else str(left) == str(right)
            case {"Fn::Not": [inner]}:
                truth = self._truth(inner)
                return None if truth is None else not truth
            case {"Fn::And": [*inner]}:
                return _all([self._truth(part) for part in inner])
            case {"Fn::Or": [*inner]}:
                truth = _all([None if t is None else not t for t in map(self._truth, inner)])
                return None if truth is None else not truth
        return None


def _typed(value: Any, parameter_type: Any) -> Any:
    """What ``Ref`` gives of a parameter: a list when its type is one."""
    if isinstance(value, str) and _LIST.fullmatch(str(parameter_type)):
        return [item.strip() for item in value.split(",")] if value else []
    return value


def _all(truths: list[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True
