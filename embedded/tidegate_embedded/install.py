"""Installs Tidegate into the embedded AWS by the commands and templates that users have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tidegate.core.errors import InputError, TidegateError
from tidegate.core.model.manifest import Manifest
from tidegate_embedded.process import LocalAws

CONTROLLER_ACCOUNT: Final = "111111111111"
CONTROLLER_STACK: Final = "tidegate"
_EXTERNAL_ID: Final = "tidegate-on-this-machine"
PYTHON_RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Installer:
    """Installs from the checkout into ``aws``; what the commands print goes to ``log``."""

    aws: LocalAws
    checkout: Path
    log: Path

    def controller(
        self, target_accounts: Sequence[str], *, evaluation_seconds: int = 1
    ) -> dict[str, str]:
        """Build and deploy the controller. Returns the outputs of its stack.

        ``evaluation_seconds`` is the period of the metrics and the pause between two evaluations;
        it is a minute on AWS.
        """
        self._client("s3").create_bucket(
            Bucket=self._packages,
            CreateBucketConfiguration={"LocationConstraint": self._region},
        )
        built = self.checkout / "build" / "controller"
        parameters = {
            "TargetAccounts": ",".join(target_accounts),
            "ExternalId": _EXTERNAL_ID,
            "ObservationPeriod": str(evaluation_seconds),
            "PollSeconds": "1",
            "SlowPollSeconds": "5",
            "QueuePollSeconds": "5",
            "RecordDeletionProtection": "false",
            "PythonRuntime": PYTHON_RUNTIME,
        }
        self._sam(
            "build",
            *("--template-file", str(self.checkout / "template.yaml")),
            *("--build-dir", str(built)),
            *("--cache-dir", str(self.checkout / "build" / "cache")),
            *("--cached", "--parallel", "--parameter-overrides", *_overrides(parameters)),
        )
        self._sam(
            "deploy",
            *("--template-file", str(built / "template.yaml")),
            *("--stack-name", CONTROLLER_STACK),
            *("--s3-bucket", self._packages, "--region", self._region),
            *("--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
            *("--no-confirm-changeset", "--parameter-overrides", *_overrides(parameters)),
        )
        return self._outputs(CONTROLLER_ACCOUNT, CONTROLLER_STACK)

    def application(self, manifest: Manifest, full_repository_id: str) -> None:
        """Make an application's pipeline, and what its target accounts need."""
        accounts = target_accounts(manifest)
        pipeline = self._pipeline(manifest.application, full_repository_id, accounts)
        for account in accounts:
            self._target(account, manifest.application, pipeline)
            self._alarms(account, manifest.application)

    def _pipeline(
        self, application: str, full_repository_id: str, accounts: Sequence[str]
    ) -> dict[str, str]:
        controller = self._outputs(CONTROLLER_ACCOUNT, CONTROLLER_STACK)
        return self._deploy(
            CONTROLLER_ACCOUNT,
            f"{application}-pipeline",
            self.checkout / "pipeline" / "template.yaml",
            {
                "Application": application,
                "ConnectionArn": f"arn:aws:codeconnections:{self._region}:{CONTROLLER_ACCOUNT}"
                ":connection/00000000-0000-0000-0000-000000000000",
                "FullRepositoryId": full_repository_id,
                "ReleaseStateMachineArn": controller["ReleaseStateMachineArn"],
                "TargetAccounts": ",".join(accounts),
                "PythonRuntime": PYTHON_RUNTIME,
                "TidegatePackage": f"tidegate[build] @ {self.checkout.as_uri()}",
            },
        )

    def _target(self, account: str, application: str, pipeline: Mapping[str, str]) -> None:
        self._deploy(
            account,
            "tidegate-target",
            self.checkout / "pipeline" / "target-account.yaml",
            {
                "ControllerAccount": CONTROLLER_ACCOUNT,
                "ControllerStack": CONTROLLER_STACK,
                "ExternalId": _EXTERNAL_ID,
                "ApplicationPrefix": application,
                "ArtifactBucket": pipeline["ArtifactBucketName"],
                "ArtifactKeyArn": pipeline["ArtifactKeyArn"],
            },
        )

    def _alarms(self, account: str, application: str) -> None:
        """What tells the account's alarms to the controller."""
        self._deploy(
            account,
            "tidegate-alarms",
            self.checkout / "pipeline" / "target-region.yaml",
            {
                "ControllerBusArn": self._outputs(CONTROLLER_ACCOUNT, CONTROLLER_STACK)["BusArn"],
                "ApplicationPrefix": application,
            },
        )

    @property
    def _region(self) -> str:
        return self.aws.environment(CONTROLLER_ACCOUNT)["AWS_REGION"]

    @property
    def _packages(self) -> str:
        return f"tidegate-packages-{CONTROLLER_ACCOUNT}-{self._region}"

    def _client(self, service: str, account: str = CONTROLLER_ACCOUNT) -> Any:
        return self.aws.client(service, account)

    def _deploy(
        self, account: str, stack: str, template: Path, parameters: Mapping[str, str]
    ) -> dict[str, str]:
        cloudformation = self._client("cloudformation", account)
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=template.read_text("utf-8"),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 600}
        )
        return self._outputs(account, stack)

    def _outputs(self, account: str, stack: str) -> dict[str, str]:
        found = self._client("cloudformation", account).describe_stacks(StackName=stack)
        return {o["OutputKey"]: o["OutputValue"] for o in found["Stacks"][0].get("Outputs", [])}

    def _sam(self, *arguments: str) -> None:
        environment = {
            **os.environ,
            **self.aws.environment(CONTROLLER_ACCOUNT),
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "1",
            "PYTHON": sys.executable,
            "PYTHON_VERSION": PYTHON_RUNTIME.removeprefix("python"),
        }
        sam = Path(sys.executable).with_name("sam")
        with self.log.open("ab") as log, TemporaryDirectory(prefix="tidegate-") as scratch:
            result = subprocess.run(
                [str(sam), *arguments],
                cwd=self.checkout,
                env={**environment, "TMPDIR": scratch},  # it leaves folders behind
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if result.returncode:
            raise TidegateError(f"sam {arguments[0]} failed.", remedy=f"See {self.log}.")


def target_accounts(manifest: Manifest) -> list[str]:
    """The accounts that the stages of an application are in, each once."""
    return list(dict.fromkeys(stage.account for stage in manifest.stages))


def find_checkout() -> Path:
    """The checkout of Tidegate that this package is installed from. Raises ``InputError``."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "statemachine").is_dir():
        raise InputError(
            "the embedded AWS installs the controller from its source.",
            remedy="Clone Tidegate and run `make demo` there.",
        )
    return folder


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    return [f"ParameterKey={key},ParameterValue={value}" for key, value in parameters.items()]
