"""The API of Step Functions, as its clients see it."""

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_embedded.gateway import Request, Response
from tidegate_embedded.stepfunctions.executions import Execution, StateMachine, now
from tidegate_embedded.stepfunctions.store import (
    StepFunctionsError,
    Store,
    Tokens,
    check_definition,
)

_PREFIX: Final = "AWSStepFunctions."
_PAGE: Final = 100
_SETTINGS: Final = ("loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")
_INCLUDED: Final = {"included": True}

Body = dict[str, Any]


class StepFunctionsApi:
    """Answers the operations of Step Functions; versions, activities and map runs are not among
    them."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._operations: Mapping[str, Callable[[Request, Body], Body]] = {
            "CreateStateMachine": self._create_state_machine,
            "UpdateStateMachine": self._update_state_machine,
            "DeleteStateMachine": self._delete_state_machine,
            "DescribeStateMachine": self._describe_state_machine,
            "DescribeStateMachineForExecution": self._describe_state_machine_for_execution,
            "ListStateMachines": self._list_state_machines,
            "ValidateStateMachineDefinition": self._validate,
            "StartExecution": self._start_execution,
            "StopExecution": self._stop_execution,
            "DescribeExecution": self._describe_execution,
            "ListExecutions": self._list_executions,
            "GetExecutionHistory": self._get_execution_history,
            "SendTaskSuccess": self._send_task_success,
            "SendTaskFailure": self._send_task_failure,
            "SendTaskHeartbeat": self._send_task_heartbeat,
            "TagResource": self._tag_resource,
            "UntagResource": self._untag_resource,
            "ListTagsForResource": self._list_tags_for_resource,
        }

    def matches(self, request: Request) -> bool:
        """Whether the request is for Step Functions."""
        return request.target.startswith(_PREFIX)

    def handle(self, request: Request) -> Response:
        """Answer one operation."""
        name = request.target.removeprefix(_PREFIX)
        operation = self._operations.get(name)
        if operation is None:
            return Response.error(
                "UnknownOperationException", f"{name} is not part of the embedded AWS"
            )
        try:
            return Response.json(_on_the_wire(operation(request, request.json())))
        except StepFunctionsError as error:
            return Response.error(error.code, str(error))

    def _create_state_machine(self, request: Request, body: Body) -> Body:
        name = body["name"]
        arn = f"arn:aws:states:{request.region}:{request.account}:stateMachine:{name}"
        machine = self._store.create(
            StateMachine(
                arn,
                name,
                body["definition"],
                body["roleArn"],
                body.get("type", "STANDARD"),
                settings=_settings(body),
                tags={tag["key"]: tag["value"] for tag in body.get("tags", ())},
            )
        )
        return {"stateMachineArn": machine.arn, "creationDate": machine.created}

    def _update_state_machine(self, _request: Request, body: Body) -> Body:
        machine = self._store.update(
            body["stateMachineArn"],
            definition=body.get("definition"),
            role_arn=body.get("roleArn"),
            settings=_settings(body),
        )
        return {"updateDate": machine.updated, "revisionId": machine.revision_id}

    def _delete_state_machine(self, _request: Request, body: Body) -> Body:
        self._store.delete(body["stateMachineArn"])
        return {}

    def _describe_state_machine(self, _request: Request, body: Body) -> Body:
        machine = self._store.machine(body["stateMachineArn"])
        return {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "type": machine.type,
            "creationDate": machine.created,
            "revisionId": machine.revision_id,
            **machine.settings,
        }

    def _describe_state_machine_for_execution(self, _request: Request, body: Body) -> Body:
        execution = self._store.execution(body["executionArn"])
        return {
            "stateMachineArn": execution.machine_arn,
            "name": execution.machine_arn.rpartition(":")[2],
            "definition": execution.definition,
            "roleArn": execution.role_arn,
            "updateDate": execution.started,
        }

    def _list_state_machines(self, request: Request, body: Body) -> Body:
        machines = [
            {
                "stateMachineArn": machine.arn,
                "name": machine.name,
                "type": machine.type,
                "creationDate": machine.created,
            }
            for machine in self._store.machines(request.account, request.region)
        ]
        return _page("stateMachines", machines, body)

    def _validate(self, _request: Request, body: Body) -> Body:
        try:
            check_definition(body["definition"])
        except StepFunctionsError as error:
            diagnostic = {
                "severity": "ERROR",
                "code": "SCHEMA_VALIDATION_FAILED",
                "message": str(error),
            }
            return {"result": "FAIL", "diagnostics": [diagnostic]}
        return {"result": "OK", "diagnostics": []}

    def _start_execution(self, _request: Request, body: Body) -> Body:
        execution = self._store.start(
            body["stateMachineArn"], body.get("name"), body.get("input", "{}")
        )
        return {"executionArn": execution.arn, "startDate": execution.started}

    def _stop_execution(self, _request: Request, body: Body) -> Body:
        execution = self._store.execution(body["executionArn"])
        execution.stop(body.get("error"), body.get("cause"))
        return {"stopDate": execution.stopped or now()}

    def _describe_execution(self, _request: Request, body: Body) -> Body:
        execution = self._store.execution(body["executionArn"])
        described = _summary(execution) | {
            "input": execution.input_text,
            "inputDetails": _INCLUDED,
            "redriveCount": 0,
        }
        optional = {
            "output": execution.output_text,
            "outputDetails": _INCLUDED if execution.output_text else None,
            "error": execution.error,
            "cause": execution.cause,
        }
        return described | {name: value for name, value in optional.items() if value is not None}

    def _list_executions(self, _request: Request, body: Body) -> Body:
        executions = self._store.executions(body["stateMachineArn"], body.get("statusFilter"))
        return _page("executions", [_summary(execution) for execution in executions], body)

    def _get_execution_history(self, _request: Request, body: Body) -> Body:
        events = self._store.execution(body["executionArn"]).events
        if body.get("reverseOrder"):
            events.reverse()
        return _page("events", events, body)

    def _send_task_success(self, _request: Request, body: Body) -> Body:
        self._tokens.succeed(body["taskToken"], body["output"])
        return {}

    def _send_task_failure(self, _request: Request, body: Body) -> Body:
        self._tokens.fail(body["taskToken"], body.get("error"), body.get("cause"))
        return {}

    def _send_task_heartbeat(self, _request: Request, body: Body) -> Body:
        self._tokens.heartbeat(body["taskToken"])
        return {}

    def _tag_resource(self, _request: Request, body: Body) -> Body:
        tags = self._store.machine(body["resourceArn"]).tags
        tags.update({tag["key"]: tag["value"] for tag in body["tags"]})
        return {}

    def _untag_resource(self, _request: Request, body: Body) -> Body:
        tags = self._store.machine(body["resourceArn"]).tags
        for key in body["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _list_tags_for_resource(self, _request: Request, body: Body) -> Body:
        tags = self._store.machine(body["resourceArn"]).tags
        return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _settings(body: Body) -> Body:
    return {name: body[name] for name in _SETTINGS if name in body}


def _summary(execution: Execution) -> Body:
    summary = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started,
    }
    return summary | ({"stopDate": execution.stopped} if execution.finished.is_set() else {})


def _page(name: str, items: list[Any], body: Body) -> Body:
    """One page of `items`; the token of the next one is where it starts."""
    start = int(body.get("nextToken") or 0)
    end = start + (body.get("maxResults") or _PAGE)
    page: Body = {name: items[start:end]}
    return page | ({"nextToken": str(end)} if end < len(items) else {})


def _on_the_wire(value: Any) -> Any:
    """Times as seconds since 1970, also those that history has as text."""
    match value:
        case datetime.datetime():
            return value.timestamp()
        case dict():
            return {
                key: _seconds(item) if key == "timestamp" else _on_the_wire(item)
                for key, item in value.items()
            }
        case list():
            return [_on_the_wire(item) for item in value]
        case _:
            return value


def _seconds(moment: str | datetime.datetime) -> float:
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment)
    return moment.timestamp()
