"""Application stacks, in CloudFormation.

Each call may be repeated with its token: a change set is named for it, and what was begun already
is found again rather than begun twice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tidegate.aws.errors import calling, error_code, error_message
from tidegate.aws.session import Clients
from tidegate.core.errors import ChangeSetFailed, ChangeSetStale, NotFound, StackBusy, StackFailed
from tidegate.core.model.stack_status import Standing, remedy, standing
from tidegate.core.ports import Change, ChangeSet, ResourceChange, StackEvent, StackSpec, StackState

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import ChangeSetTypeType
    from mypy_boto3_cloudformation.type_defs import (
        DescribeChangeSetOutputTypeDef,
        ResourceChangeTypeDef,
        StackEventTypeDef,
        StackTypeDef,
    )
    from mypy_boto3_s3 import S3Client

_CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
_PLAIN_URLS: Final = Config(signature_version=UNSIGNED, s3={"addressing_style": "virtual"})
_REVIEW: Final = "REVIEW_IN_PROGRESS"
_BEGINNINGS: Final = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", _REVIEW}
_NOT_THERE: Final = re.compile(r"does not exist|not found", re.IGNORECASE)
_BUSY: Final = re.compile(r"_IN_PROGRESS\b")
_NO_CHANGES: Final = re.compile(r"didn.t contain changes|No updates are to be performed")
_EVENTS_AT_ONCE: Final = 2000  # a change of 500 resources tells some three for each
_ACTIONS: Final = {"Add": Change.ADD, "Import": Change.ADD, "Remove": Change.REMOVE}


class TemplateUrls:
    """From ``s3://bucket/key?versionId=id`` to CloudFormation's URL, in the bucket's region."""

    def __init__(self, clients: Clients) -> None:
        self._s3: Callable[[], S3Client] = cache(lambda: clients.make("s3", _PLAIN_URLS))

    def url(self, location: str) -> str:
        """The URL without a signature; one that is none of S3's own stays as it is."""
        place = urlsplit(location)
        if place.scheme != "s3":
            return location
        named = {"Bucket": place.netloc, "Key": place.path.lstrip("/")}
        for version in parse_qs(place.query).get("versionId", ()):
            named["VersionId"] = version
        return self._s3().generate_presigned_url("get_object", Params=named)


class CloudFormationStacks:
    """Previews, executes, updates and deletes stacks in one account and region.

    ``role_arn`` is the role that CloudFormation works with; "" lets it work with the caller's.
    """

    def __init__(
        self, client: CloudFormationClient, *, templates: TemplateUrls, role_arn: str = ""
    ) -> None:
        self._client = client
        self._templates = templates
        self._role: dict[str, Any] = {"RoleARN": role_arn} if role_arn else {}

    def preview(self, spec: StackSpec, token: str) -> ChangeSet | None:
        """Make the change set once and describe it; None while it is being computed.

        Raises ``ChangeSetFailed`` with CloudFormation's reason, ``StackBusy``, and ``StackFailed``
        for a stack that no change set can be made for.
        """
        name = _change_set_name(token)
        stack = self._stack(spec.stack_name)
        status = stack["StackStatus"] if stack else ""
        made = self._change_set(name, spec.stack_name) if stack else None
        if made is not None:
            return self._result(made, spec.stack_name, first_deployment=status == _REVIEW)
        _refuse_unusable(spec.stack_name, status)
        self._create_change_set(spec, name, "CREATE" if status in {"", _REVIEW} else "UPDATE")
        return None

    def execute(self, change_set: str, token: str) -> None:
        """Execute the change set with this ARN. Raises ``ChangeSetStale``, ``StackBusy``."""
        found = self._change_set(change_set)
        if found is None:
            raise _stale(change_set, "is gone")
        execution = found["ExecutionStatus"]
        if execution.startswith("EXECUTE_"):
            return  # by an earlier call; how it goes is the stack's state
        if execution != "AVAILABLE":
            raise _stale(change_set, _told(f"is {execution}", found.get("StatusReason", "")))
        with calling(
            f"execute {change_set}",
            {"ChangeSetNotFound": ChangeSetStale, "InvalidChangeSetStatus": ChangeSetStale},
            remedy="Release again: the change set is made anew.",
        ):
            self._once_idle(
                lambda: self._client.execute_change_set(
                    ChangeSetName=change_set, ClientRequestToken=_request_token(token)
                )
            )

    def state(self, stack_name: str) -> StackState:
        """The stack as it is, with the reason of the last operation's failure if it failed."""
        stack = self._stack(stack_name)
        if stack is None:
            return StackState(exists=False)
        status = stack["StackStatus"]
        failed = "ROLLBACK" in status or status.endswith("FAILED")
        with calling(f"read the resources of {stack_name}"):
            resources = dict(self._resources(stack["StackId"]))
        return StackState(
            exists=True,
            status=status,
            reason=self._first_failure(stack["StackId"]) if failed else "",
            parameters={
                p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])
            },
            resources=resources,
        )

    def events(self, stack_name: str, token: str, after: str = "") -> list[StackEvent]:
        """What the operation with this token has done so far, oldest first, later than ``after``.

        CloudFormation gives the newest first, and the operation's token to every event of it. Of
        more than 2,000 at once the oldest are left out.
        """
        request_token = _request_token(token)
        found: list[StackEvent] = []
        with calling(f"read the events of {stack_name}"):
            pages = self._client.get_paginator("describe_stack_events").paginate(
                StackName=stack_name, PaginationConfig={"MaxItems": _EVENTS_AT_ONCE}
            )
            try:
                for event in (event for page in pages for event in page["StackEvents"]):
                    if (
                        event["EventId"] == after
                        or event.get("ClientRequestToken") != request_token
                    ):
                        break
                    found.append(_event(event))
            except ClientError as error:
                if not _is_missing(error):
                    raise
        return found[::-1]

    def update(self, spec: StackSpec, token: str) -> bool:
        """Begin a direct update; False when there was nothing to update. Raises ``StackBusy``."""
        stack = self._stack(spec.stack_name)
        if stack is None:
            raise NotFound(f"There is no stack {spec.stack_name}.")
        if self._was_begun(stack["StackId"], _request_token(token)):
            return True
        _refuse_unusable(spec.stack_name, stack["StackStatus"])
        with calling(
            f"update {spec.stack_name}",
            {"ValidationError": StackFailed, "InsufficientCapabilitiesException": StackFailed},
            remedy="Correct the template or the stage's parameters.",
        ):
            try:
                self._once_idle(
                    lambda: self._client.update_stack(
                        **self._request(spec), ClientRequestToken=_request_token(token)
                    )
                )
            except ClientError as error:
                if error_code(error) == "TokenAlreadyExistsException":
                    return True
                if _NO_CHANGES.search(error_message(error)):
                    return False
                raise
        return True

    def delete(self, stack_name: str, token: str) -> None:
        """Begin to delete the stack; a stack that is not there is no error."""
        stack = self._stack(stack_name)
        if stack is None or stack["StackStatus"] == "DELETE_IN_PROGRESS":
            return
        with calling(f"delete {stack_name}"):
            self._once_idle(
                lambda: self._client.delete_stack(
                    StackName=stack_name, ClientRequestToken=_request_token(token), **self._role
                )
            )

    def _create_change_set(self, spec: StackSpec, name: str, kind: ChangeSetTypeType) -> None:
        with calling(
            f"preview {spec.stack_name}",
            {
                "ValidationError": ChangeSetFailed,
                "InsufficientCapabilitiesException": ChangeSetFailed,
            },
            remedy="Correct the template or the stage's parameters.",
        ):
            try:
                self._once_idle(
                    lambda: self._client.create_change_set(
                        ChangeSetName=name,
                        ChangeSetType=kind,
                        ClientToken=name,
                        **self._request(spec),
                    )
                )
            except ClientError as error:
                if error_code(error) != "AlreadyExistsException":  # a twin of this call was first
                    raise

    def _request(self, spec: StackSpec) -> dict[str, Any]:
        return {
            "StackName": spec.stack_name,
            "TemplateURL": self._templates.url(spec.template_url),
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in sorted(spec.parameters.items())
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(spec.tags.items())],
            "Capabilities": list(_CAPABILITIES),
            **self._role,
        }

    def _result(
        self, made: DescribeChangeSetOutputTypeDef, stack_name: str, *, first_deployment: bool
    ) -> ChangeSet | None:
        status, arn = made["Status"], made["ChangeSetId"]
        if status == "CREATE_COMPLETE":
            changes = tuple(_changes(made["Changes"]))
            return ChangeSet(arn, stack_name, first_deployment, changes)
        if status != "FAILED":
            return None
        reason = made.get("StatusReason", "")
        if not _NO_CHANGES.search(reason):
            raise ChangeSetFailed(
                f"CloudFormation could not preview {stack_name}: {reason or 'it gives no reason.'}",
                remedy="Correct the template or the stage's parameters.",
            )
        with calling(f"delete the empty {arn}"):
            self._client.delete_change_set(ChangeSetName=arn)
        return ChangeSet(arn, stack_name, first_deployment, ())

    def _change_set(self, name: str, stack_name: str = "") -> DescribeChangeSetOutputTypeDef | None:
        """The change set with all pages of its changes; None when there is none."""
        request: dict[str, Any] = {"ChangeSetName": name}
        if stack_name:
            request["StackName"] = stack_name
        with calling(f"read the change set {name}"):
            try:
                found = self._client.describe_change_set(**request)
                token = found.get("NextToken")
                while token:
                    page = self._client.describe_change_set(**request, NextToken=token)
                    found["Changes"].extend(page["Changes"])
                    token = page.get("NextToken")
            except ClientError as error:
                if error_code(error) == "ChangeSetNotFound" or _is_missing(error):
                    return None
                raise
        return found

    def _stack(self, name: str) -> StackTypeDef | None:
        with calling(f"read the stack {name}"):
            try:
                return self._client.describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                if _is_missing(error):
                    return None
                raise

    def _resources(self, stack_id: str) -> Iterator[tuple[str, str]]:
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=stack_id)
        for page in pages:
            for resource in page["StackResourceSummaries"]:
                physical_id = resource.get("PhysicalResourceId")
                if physical_id and resource["ResourceStatus"] != "DELETE_COMPLETE":
                    yield resource["LogicalResourceId"], physical_id

    def _was_begun(self, stack_id: str, request_token: str) -> bool:
        """The stack's last operation, over or not, is the one of this token."""
        with calling(f"read the events of {stack_id}"):
            newest = self._client.describe_stack_events(StackName=stack_id)["StackEvents"][:1]
        return any(event.get("ClientRequestToken") == request_token for event in newest)

    def _first_failure(self, stack_id: str) -> str:
        """The first failing event of the last operation: the later ones follow from it."""
        first = ""
        with calling(f"read the events of {stack_id}"):
            pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
            for event in (event for page in pages for event in page["StackEvents"]):
                status = event.get("ResourceStatus", "")
                if status.endswith("_FAILED") and not _is_consequence(event):
                    first = _explained(event)
                if event.get("PhysicalResourceId") == stack_id and status in _BEGINNINGS:
                    break
        return first

    def _once_idle(self, call: Callable[[], object]) -> None:
        """Make the call. Raises ``StackBusy`` when CloudFormation is at work on the stack."""
        try:
            call()
        except ClientError as error:
            if error_code(error) == "ValidationError" and _BUSY.search(error_message(error)):
                raise StackBusy(f"{error_message(error)}.") from error
            if error_code(error) == "OperationInProgressException":
                raise StackBusy(f"{error_message(error)}.") from error
            raise


def _change_set_name(token: str) -> str:
    """A name that CloudFormation takes, one for each token."""
    return f"tidegate-{_readable(token)[:80]}-{_hash(token)}"


def _request_token(token: str) -> str:
    return f"{_readable(token)[:100]}-{_hash(token)}"


def _readable(token: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", token).strip("-")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:10]


def _refuse_unusable(stack_name: str, status: str) -> None:
    if standing(status) is Standing.BROKEN:
        raise StackFailed(f"The stack {stack_name} is in {status}.", remedy=remedy(status))
    if standing(status) is Standing.BUSY:
        raise StackBusy(f"The stack {stack_name} is in {status}.")


def _is_missing(error: ClientError) -> bool:
    return error_code(error) == "ValidationError" and bool(_NOT_THERE.search(error_message(error)))


def _told(how: str, reason: str) -> str:
    """With CloudFormation's own reason, where it gives one."""
    return f"{how} ({reason.rstrip('.')})" if reason else how


def _stale(change_set: str, how: str) -> ChangeSetStale:
    return ChangeSetStale(
        f"The change set {change_set} {how}: the stack changed after it was made.",
        remedy="Release again: the change set is made anew.",
    )


def _changes(changes: Iterable[Mapping[str, Any]]) -> Iterator[ResourceChange]:
    for change in changes:
        resource: ResourceChangeTypeDef | None = change.get("ResourceChange")
        if resource is not None:
            yield ResourceChange(
                logical_id=resource["LogicalResourceId"],
                type=resource["ResourceType"],
                change=_change(resource),
                properties=_properties(resource),
                may_replace=resource.get("Replacement") == "Conditional",
                policy_action=resource.get("PolicyAction", ""),
            )


def _change(resource: ResourceChangeTypeDef) -> Change:
    if resource.get("Replacement") == "True":
        return Change.REPLACE
    return _ACTIONS.get(resource["Action"], Change.MODIFY)


def _properties(resource: ResourceChangeTypeDef) -> tuple[str, ...]:
    """What of the resource changes: names of properties, or "Tags" and the like."""
    targets = [detail.get("Target", {}) for detail in resource.get("Details", [])]
    names = [target.get("Name") or target.get("Attribute", "") for target in targets]
    return tuple(sorted({name for name in names if name}))


def _event(event: StackEventTypeDef) -> StackEvent:
    return StackEvent(
        id=event["EventId"],
        at=event["Timestamp"],
        logical_id=event.get("LogicalResourceId", ""),
        type=event.get("ResourceType", ""),
        status=event.get("ResourceStatus", ""),
        reason=event.get("ResourceStatusReason", ""),
        of_stack=event.get("PhysicalResourceId") == event["StackId"],
    )


def _is_consequence(event: StackEventTypeDef) -> bool:
    return "cancelled" in event.get("ResourceStatusReason", "").lower()


def _explained(event: StackEventTypeDef) -> str:
    reason = event.get("ResourceStatusReason", "CloudFormation gives no reason")
    return f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
