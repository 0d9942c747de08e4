"""The clients of state machines' tasks: this endpoint, the execution's account, a task's role."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from botocore.config import Config
from moto.stepfunctions.parser import asl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import (
    StateCredentials,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse import asl_parser  # noqa: F401 - loads every task

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.patching import Patches

_ROLE_SECONDS: Final = 900.0
_ONE_ATTEMPT: Final = Config(
    read_timeout=910,  # the longest Lambda invocation, and a little
    max_pool_connections=64,
    retries={"mode": "standard", "total_max_attempts": 1},  # the state machine retries, not we
)


@dataclass
class TaskIdentity(StateCredentials):  # type: ignore[misc]
    """As whom a task acts: as its execution's account, or in the role of its `Credentials`."""

    role_arn: str
    account: str
    assumes_role: bool


class TaskClients:
    """Hands out clients to tasks, and keeps them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, ...], tuple[float, Any]] = {}

    def install(self, patches: Patches) -> None:
        """Make every task of the interpreter use these clients."""
        for name, module in list(sys.modules.items()):
            if name.startswith(asl.__name__) and hasattr(module, "boto_client_for"):
                patches.replace(module, "boto_client_for", lambda _original: self.client)
        patches.replace(StateTask, "_eval_state_credentials", _with_account)

    def client(self, region: str, service: str, state_credentials: TaskIdentity) -> Any:
        """A client of `service` that acts as the task does."""
        identity = state_credentials
        role = identity.role_arn if identity.assumes_role else ""
        key = (service, region, identity.account, role)
        with self._lock:
            expires, client = self._clients.get(key, (0.0, None))
            if time.monotonic() >= expires:
                client = self._new_client(service, region, identity.account, role)
                self._clients[key] = (time.monotonic() + _ROLE_SECONDS, client)
            return client

    def _new_client(self, service: str, region: str, account: str, role: str) -> Any:
        if not role:
            return self._cloud.new_client(
                service, region=region, access_key=account, config=_ONE_ATTEMPT
            )
        credentials = self._cloud.client("sts", account=account, region=region).assume_role(
            RoleArn=role, RoleSessionName="StepFunctions"
        )["Credentials"]
        return self._cloud.new_client(
            service,
            region=region,
            access_key=credentials["AccessKeyId"],
            secret_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
            config=_ONE_ATTEMPT,
        )


def _with_account(original: Callable[..., StateCredentials]) -> Callable[..., TaskIdentity]:
    def evaluate(self: Any, env: Environment) -> TaskIdentity:
        return TaskIdentity(
            role_arn=original(self, env).role_arn,
            account=env.aws_execution_details.account,
            assumes_role=bool(self.credentials),
        )

    return evaluate
