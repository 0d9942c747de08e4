"""CloudFormation of the embedded AWS: more resource types, and what ministack's engine lacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners, stacks

from tidegate.local.cloud import Cloud

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """Which resource of which stack a handler is asked for."""

    account: str
    region: str
    logical_id: str
    stack_name: str
    """Empty in a deletion, where `physical_id` says it all."""
    physical_id: str = ""
    """Empty in a creation."""

    def generated_name(self, max_length: int = 128) -> str:
        """The name that CloudFormation gives a resource whose template gives none."""
        name: str = provisioners._physical_name(
            self.stack_name, self.logical_id, max_len=max_length
        )
        return name


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a handler made: `physical_id` is `Ref`, `attributes` are for `Fn::GetAtt`."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


Create = Callable[[Resource, Properties], Provisioned]
Update = Callable[[Resource, Properties, Properties], Provisioned]
"""Takes the resource, its old and its new properties. Another physical id means a replacement."""
Delete = Callable[[Resource, Properties], None]

_ours: Final[set[str]] = set()
_ministack_runs_on_worker_thread: Final = stacks._runs_on_worker_thread


def register_type(
    type_name: str, *, create: Create, update: Update | None = None, delete: Delete
) -> None:
    """Provision resources of `type_name` with these handlers.

    They run on a worker thread, so they may call the endpoint, and raise an exception whose text
    becomes the resource's status reason. Without `update` every change replaces the resource.
    """

    def on_create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Any]:
        return _made(create(_resource(logical_id, stack), properties))

    def on_update(
        physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
    ) -> tuple[str, Any]:
        resource = _resource(logical_id, stack, physical_id)
        return _made(update(resource, old, new) if update else create(resource, new))

    def on_delete(physical_id: str, properties: Properties, logical_id: str | None) -> None:
        delete(_resource(logical_id or "", "", physical_id), properties)

    provisioners._RESOURCE_HANDLERS[type_name] = {
        "create": on_create,
        "update": on_update,
        "update_with_logical_id": True,
        "delete": on_delete,
        "delete_with_logical_id": True,
    }
    _ours.add(type_name)


def _resource(logical_id: str, stack_name: str, physical_id: str = "") -> Resource:
    return Resource(get_account_id(), get_region(), logical_id, stack_name, physical_id)


def _made(provisioned: Provisioned) -> tuple[str, dict[str, Any]]:
    return provisioned.physical_id, dict(provisioned.attributes)


def _runs_on_worker_thread(type_name: str) -> bool:
    return type_name in _ours or _ministack_runs_on_worker_thread(type_name)


class CloudFormationGaps:
    """Plug-in that mends ministack's CloudFormation."""

    def install(self, cloud: Cloud) -> None:
        """Apply the patches."""
        stacks._runs_on_worker_thread = _runs_on_worker_thread
