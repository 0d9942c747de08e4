"""`AWS::StepFunctions::StateMachine` in CloudFormation."""

import json
from typing import Any, Final

from ministack.services.cloudformation import provisioners
from ruamel.yaml import YAML

from tidegate_embedded.cloudformation.engine import Properties, Provisioned, Resource, register_type
from tidegate_embedded.stepfunctions.executions import StateMachine
from tidegate_embedded.stepfunctions.store import Store

TYPE: Final = "AWS::StepFunctions::StateMachine"
_SETTINGS: Final = {
    "LoggingConfiguration": "loggingConfiguration",
    "TracingConfiguration": "tracingConfiguration",
    "EncryptionConfiguration": "encryptionConfiguration",
}


class StateMachineResource:
    """Keeps the state machines of stacks in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self) -> None:
        """Take the type over from ministack."""
        register_type(TYPE, create=self._create, update=self._update, delete=self._delete)

    def _create(self, resource: Resource, properties: Properties) -> Provisioned:
        name = properties.get("StateMachineName") or resource.generated_name(80)
        machine = self._store.create(
            StateMachine(
                f"arn:aws:states:{resource.region}:{resource.account}:stateMachine:{name}",
                name,
                _definition(properties),
                properties["RoleArn"],
                properties.get("StateMachineType", "STANDARD"),
                settings=_settings(properties),
                tags={tag["Key"]: tag["Value"] for tag in properties.get("Tags", ())},
            )
        )
        return _provisioned(machine)

    def _update(self, resource: Resource, old: Properties, new: Properties) -> Provisioned:
        if old.get("StateMachineName") != new.get("StateMachineName"):
            return self._create(resource, new)
        machine = self._store.update(
            resource.physical_id,
            definition=_definition(new),
            role_arn=new["RoleArn"],
            settings=_settings(new),
        )
        machine.tags = {tag["Key"]: tag["Value"] for tag in new.get("Tags", ())}
        return _provisioned(machine)

    def _delete(self, resource: Resource, _properties: Properties) -> None:
        self._store.delete(resource.physical_id)


def _provisioned(machine: StateMachine) -> Provisioned:
    attributes = {
        "Arn": machine.arn,
        "Name": machine.name,
        "StateMachineRevisionId": machine.revision_id,
    }
    return Provisioned(machine.arn, attributes)


def _definition(properties: Properties) -> str:
    """The definition with its substitutions, as JSON also where the file is YAML."""
    text: str = provisioners._sfn_definition(properties)
    if text.lstrip().startswith("{"):
        return text
    return json.dumps(YAML(typ="safe").load(text))


def _settings(properties: Properties) -> dict[str, Any]:
    """Their members begin with a small letter in the API, with a capital in CloudFormation."""
    return {
        name: _uncapitalised(properties[key])
        for key, name in _SETTINGS.items()
        if key in properties
    }


def _uncapitalised(value: Any) -> Any:
    match value:
        case dict():
            return {key[0].lower() + key[1:]: _uncapitalised(item) for key, item in value.items()}
        case list():
            return [_uncapitalised(item) for item in value]
        case "true" | "false":
            return value == "true"
        case _:
            return value
