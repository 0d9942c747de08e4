"""CloudFormation of the embedded AWS: more resource types, and what ministack's engine lacks."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import dynamodb, s3
from ministack.services.cloudformation import changesets, handlers, helpers, provisioners, stacks

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.cloudformation.templates import (
    refuse_unknown_conditions_of_conditions,
    refuse_what_aws_refuses,
)
from tidegate_embedded.patching import Patches

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

_registered: Final[set[str]] = set()
_version_asked_for: Final[ContextVar[str | None]] = ContextVar("version_asked_for", default=None)


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
    _registered.add(type_name)


def _resource(logical_id: str, stack_name: str, physical_id: str = "") -> Resource:
    return Resource(get_account_id(), get_region(), logical_id, stack_name, physical_id)


def _made(provisioned: Provisioned) -> tuple[str, dict[str, Any]]:
    return provisioned.physical_id, dict(provisioned.attributes)


class CloudFormationGaps:
    """Plug-in that mends ministack's CloudFormation."""

    def install(self, cloud: Cloud) -> None:
        """Apply the patches, until the embedded AWS stops."""
        logging.getLogger("samtranslator").setLevel(logging.ERROR)
        patches = Patches()
        patches.replace(stacks, "_runs_on_worker_thread", _with_registered_types)
        patches.replace(s3, "_get_object_data", _with_buckets_elsewhere)
        patches.replace(helpers, "_resolve_document", _with_virtual_hosts)
        for module in (changesets, handlers):
            patches.replace(module, "validate_template_support", _with_references)
            patches.replace(module, "_evaluate_conditions", _with_known_conditions)
        for type_name, wrap in _WRAPPED_TYPES.items():
            provisioners._RESOURCE_HANDLERS[type_name] = wrap(_MINISTACK_HANDLERS[type_name])
        cloud.on_stop(patches.undo)


def _with_registered_types(original: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda type_name: type_name in _registered or original(type_name)


def _with_references(original: Callable[..., None]) -> Callable[..., None]:
    """Refuse names that nothing has before anything is made, not where something needs them."""

    def validate(template: dict[str, Any], conditions: Mapping[str, bool], **known: Any) -> None:
        original(template, conditions, **known)
        refuse_what_aws_refuses(template, conditions)

    return validate


def _with_known_conditions(original: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(template: dict[str, Any], params: Mapping[str, Any]) -> Any:
        refuse_unknown_conditions_of_conditions(template)
        return original(template, params)

    return evaluate


def _with_buckets_elsewhere(original: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
    """Read templates and packages also from a bucket of another account that allows it."""

    def read(bucket: str, key: str, version_id: str | None = None) -> bytes | None:
        owner, caller = s3._bucket_owner_account(bucket), get_account_id()
        version_id = version_id or _version_asked_for.get()
        if owner is None or owner == caller:
            return original(bucket, key, version_id=version_id)
        if not s3._foreign_bucket_allows(owner, bucket, key, "GET", {}, caller):
            return None
        with request_scope(owner, get_region()):
            return original(bucket, key, version_id=version_id)

    return read


def _with_virtual_hosts(original: Callable[..., Any]) -> Callable[..., Any]:
    """Accept `https://BUCKET.s3.REGION.amazonaws.com/KEY?versionId=ID`, not only a path."""

    def resolve(params: Mapping[str, Any], body_key: str, url_key: str, label: str) -> Any:
        url = helpers._p(params, url_key)
        place = urlsplit(_path_style(url))
        for version in parse_qs(urlsplit(url).query).get("versionId", ()):
            bucket, _, key = place.path.removeprefix("/").partition("/")
            found = s3._get_object_data(bucket, key, version_id=version)
            if found is None:
                return None, helpers._error("ValidationError", f"{label} not found at {url}")
            return found.decode(), None
        return original({**params, url_key: [_path_style(url)]}, body_key, url_key, label)

    return resolve


def _path_style(url: str) -> str:
    parts = urlsplit(url)
    bucket, separator, _rest = (parts.hostname or "").partition(".s3")
    return f"https://s3.amazonaws.com/{bucket}{parts.path}" if separator and bucket else url


Handler = dict[str, Any]


def _needs_package(property_name: str) -> Callable[[Handler], Handler]:
    """Refuse a function or layer whose package is not where its template says."""

    def wrap(handler: Handler) -> Handler:
        def create(logical_id: str, properties: Properties, stack: str) -> Any:
            with _taking(properties.get(property_name)):
                return handler["create"](logical_id, properties, stack)

        def update(physical_id: str, old: Properties, new: Properties, *rest: str) -> Any:
            with _taking(new.get(property_name)):
                return handler["update"](physical_id, old, new, *rest)

        return {**handler, "create": create} | ({"update": update} if "update" in handler else {})

    return wrap


@contextmanager
def _taking(location: Any) -> Iterator[None]:
    """Take the version that is asked for: of a layer the emulator takes the newest."""
    _check_package(location)
    version = location.get("S3ObjectVersion") if isinstance(location, Mapping) else None
    token = _version_asked_for.set(version)
    try:
        yield
    finally:
        _version_asked_for.reset(token)


def _check_package(location: Any) -> None:
    if not isinstance(location, Mapping) or "S3Bucket" not in location:
        return
    bucket, key = location["S3Bucket"], location["S3Key"]
    if s3._get_object_data(bucket, key, version_id=location.get("S3ObjectVersion")) is not None:
        return
    missing = ("NoSuchKey", "The specified key does not exist.")
    if s3._bucket_owner_account(bucket) is None:
        missing = ("NoSuchBucket", "The specified bucket does not exist")
    code, message = missing
    raise ValueError(
        'Resource handler returned message: "Error occurred while GetObject. '
        f"S3 Error Code: {code}. S3 Error Message: {message} "
        f'(Service: Lambda, Status Code: 400)" ({bucket}/{key}, HandlerErrorCode: InvalidRequest)'
    )


def _with_protection(handler: Handler) -> Handler:
    """Give tables their encryption, recovery and expiry."""

    def create(logical_id: str, properties: Properties, stack: str) -> Any:
        made = handler["create"](logical_id, properties, stack)
        _protect(made[0], properties)
        return made

    def update(physical_id: str, old: Properties, new: Properties, *rest: str) -> Any:
        made = handler["update"](physical_id, old, new, *rest)
        _protect(made[0], new)
        return made

    return {**handler, "create": create, "update": update}


def _protect(table: str, properties: Properties) -> None:
    if encryption := properties.get("SSESpecification"):
        wanted = {**encryption, "Enabled": encryption.get("SSEEnabled", False)}
        dynamodb._tables[table]["SSEDescription"] = dynamodb._sse_description_from_spec(wanted)
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        dynamodb._update_continuous_backups(
            {"TableName": table, "PointInTimeRecoverySpecification": recovery}
        )
    if expiry := properties.get("TimeToLiveSpecification"):
        dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": expiry})


_MINISTACK_HANDLERS: Final[dict[str, Handler]] = dict(provisioners._RESOURCE_HANDLERS)
_WRAPPED_TYPES: Final[dict[str, Callable[[Handler], Handler]]] = {
    "AWS::Lambda::Function": _needs_package("Code"),
    "AWS::Lambda::LayerVersion": _needs_package("Content"),
    "AWS::DynamoDB::Table": _with_protection,
}
