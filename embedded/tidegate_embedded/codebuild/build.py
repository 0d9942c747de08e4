"""One build: walks the phases, runs the commands, keeps the record."""

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.codebuild import files
from tidegate_embedded.codebuild.artifacts import Destination
from tidegate_embedded.codebuild.buildspec import (
    PHASES,
    Buildspec,
    BuildspecError,
    OnFailure,
    Phase,
    parse_buildspec,
)
from tidegate_embedded.codebuild.environment import (
    base_environment,
    codebuild_variables,
    user_variables,
)
from tidegate_embedded.codebuild.log import BuildLog
from tidegate_embedded.codebuild.processes import ProcessGroup
from tidegate_embedded.codebuild.record import BuildRecord
from tidegate_embedded.codebuild.reports import ReportError
from tidegate_embedded.codebuild.reportstore import ReportStore
from tidegate_embedded.codebuild.shell import Shell
from tidegate_embedded.codebuild.source import SourceError, fetch_source
from tidegate_embedded.codebuild.toolchain import make_toolchain

logger = logging.getLogger(__name__)

_GOES_ON_AFTER_FAILURE: Final = {"install": False, "pre_build": False, "build": True}
"""Whether a later phase runs after this one failed, unless `on-failure` says otherwise."""


class PhaseError(Exception):
    """A phase failed: the code and message of its context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Build:
    """Runs one build on a thread of its own, its commands in a folder and process group of theirs.

    The record says what to build; what happens is written to it.
    """

    def __init__(
        self,
        record: BuildRecord,
        *,
        cloud: Cloud,
        directory: Path,
        destinations: Sequence[Destination],
        timeout_seconds: float,
        reports: ReportStore,
    ) -> None:
        self.record = record
        self._clients = partial(cloud.client, account=record.account, region=record.region)
        self._aws_variables = cloud.environment(record.account, record.region)
        self._delays = cloud.delays
        self._directory = directory
        self._work_dir = directory / "work"
        self._source_dir = self._work_dir / "src"
        self._home = self._work_dir / "home"
        self._temporary = self._work_dir / "tmp"
        self._destinations = destinations
        self._reports = reports
        self._group = ProcessGroup()
        self._ended_as: str | None = None
        self._timer = threading.Timer(timeout_seconds, self._end, args=("TIMED_OUT",))
        self._timer.daemon = True
        self._thread = threading.Thread(target=self._run, name=record["id"], daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._timer.start()
        self._thread.start()

    def stop(self) -> None:
        """End the build early, as StopBuild does, and wait until it has ended."""
        self._end("STOPPED")
        self._thread.join()

    def _end(self, status: str) -> None:
        if self._thread.is_alive() and self._ended_as is None:
            self._ended_as = status
            self._group.kill()

    def _run(self) -> None:
        for folder in (self._source_dir, self._home, self._temporary):
            folder.mkdir(parents=True)
        logs = self.record["logs"]
        log = BuildLog(
            self._clients("logs"),
            group=logs["groupName"],
            stream=logs["streamName"],
            file=self._directory / "build.log",
            interval_seconds=self._delays.log_interval_seconds,
        )
        try:
            self.record.publish()
            status = self._walk(log)
        except Exception:
            logger.exception("build %s", self.record["id"])
            status = "FAULT"
        finally:
            self._timer.cancel()
            self._group.kill()
            log.close()
            shutil.rmtree(self._work_dir, ignore_errors=True)
        self.record.complete(self._ended_as or status)
        self.record.publish()

    def _walk(self, log: BuildLog) -> str:
        """Go through the phases and return the status of the build."""
        for phase in ("SUBMITTED", "QUEUED", "PROVISIONING"):
            self.record.pass_through(phase)
        try:
            with self._phase("DOWNLOAD_SOURCE", log):
                buildspec, shell = self._prepare(log)
        except PhaseError:
            self.record.pass_through("FINALIZING")
            return "FAILED"
        succeeded, reaches_upload = self._run_phases(buildspec, shell, log)
        if reaches_upload and self._ended_as is None:
            try:
                with self._phase("UPLOAD_ARTIFACTS", log):
                    self._upload(buildspec, shell, succeeded=succeeded)
            except PhaseError:
                succeeded = False
        exported = [
            {"name": name, "value": shell.environment.get(name, "")} for name in buildspec.exported
        ]
        self.record.update(exportedEnvironmentVariables=exported)
        self.record.pass_through("FINALIZING")
        return "SUCCEEDED" if succeeded else "FAILED"

    @contextmanager
    def _phase(self, name: str, log: BuildLog) -> Iterator[None]:
        self.record.enter(name)
        log.say(f"Entering phase {name}")
        status, code, message = "SUCCEEDED", "", ""
        try:
            yield
        except PhaseError as failure:
            status, code, message = "FAILED", failure.code, str(failure)
            if self._ended_as == "TIMED_OUT":
                status, code, message = "TIMED_OUT", "BUILD_TIMED_OUT", "Build has timed out."
            elif self._ended_as == "STOPPED":
                status, code, message = "STOPPED", "", "Build was stopped."
            raise
        except Exception:
            status = "FAULT"
            raise
        finally:
            self.record.leave(status, code, message)
            log.say(f"Phase complete: {name} State: {status}")
            log.say(f"Phase context status code: {code} Message: {message}")

    def _prepare(self, log: BuildLog) -> tuple[Buildspec, Shell]:
        """Fetch the source, read the build specification, and set up the shell."""
        image = base_environment(
            home=self._home,
            temporary=self._temporary,
            toolchain=make_toolchain(self._work_dir / "python"),
        )
        self._fetch_source(image, log)
        try:
            buildspec = parse_buildspec(self._buildspec_text())
        except BuildspecError as error:
            raise PhaseError("YAML_FILE_ERROR", str(error)) from error
        try:
            variables = self.record["environment"]["environmentVariables"]
            users = user_variables(buildspec, variables, self._clients)
        except (ClientError, BotoCoreError, ValueError, KeyError) as error:
            raise PhaseError("CLIENT_ERROR", f"environment variables: {error}") from error
        environment = {
            **image,
            **self._aws_variables,
            **codebuild_variables(self.record, self._source_dir),
            **users,
        }
        shell = Shell(
            buildspec.shell,
            directory=self._source_dir,
            environment=environment,
            group=self._group,
            output=log.descriptor,
            state_dir=self._work_dir / "shell",
        )
        return buildspec, shell

    def _fetch_source(self, image: Mapping[str, str], log: BuildLog) -> None:
        source = self.record["source"]
        if source["type"] == "NO_SOURCE":
            return
        run = partial(self._group.run, cwd=self._work_dir, env=image, output=log.descriptor)
        version = self.record.describe().get("sourceVersion", "")
        try:
            resolved = fetch_source(
                self._clients("s3"), source["location"], version, self._source_dir, run
            )
        except SourceError as error:
            raise PhaseError("CLIENT_ERROR", str(error)) from error
        if resolved:
            self.record.update(resolvedSourceVersion=resolved)

    def _buildspec_text(self) -> str:
        given: str = self.record["source"].get("buildspec", "")
        if "\n" in given or given.startswith(("version:", "{")):
            return given
        path = self._source_dir / (given or "buildspec.yml")
        if not path.is_file():
            raise BuildspecError(f"{given or 'buildspec.yml'} does not exist in the source")
        return path.read_text()

    def _run_phases(self, buildspec: Buildspec, shell: Shell, log: BuildLog) -> tuple[bool, bool]:
        """Run the phases with commands; say whether all succeeded and whether artifacts are due."""
        succeeded = True
        for name in PHASES:
            phase = buildspec.phases.get(name, Phase())
            try:
                with self._phase(name.upper(), log):
                    self._run_commands(phase, shell)
            except PhaseError:
                succeeded = False
                shell.environment["CODEBUILD_BUILD_SUCCEEDING"] = "0"
                goes_on = _GOES_ON_AFTER_FAILURE.get(name, True)
                if phase.on_failure is not None:
                    goes_on = phase.on_failure is OnFailure.CONTINUE
                if self._ended_as is not None or not goes_on:
                    return False, False
        return succeeded, True

    @staticmethod
    def _run_commands(phase: Phase, shell: Shell) -> None:
        failure = shell.run(phase.commands)
        failure = shell.run(phase.always) or failure
        if failure is not None:
            raise PhaseError("COMMAND_EXECUTION_ERROR", str(failure))

    def _upload(self, buildspec: Buildspec, shell: Shell, *, succeeded: bool) -> None:
        """Record the reports and put the artifacts; a failed build may lack their files."""
        self._record_reports(buildspec, shell.environment)
        try:
            self._put_artifacts(buildspec, shell.environment)
        except files.FilesError as error:
            if succeeded:
                raise PhaseError("CLIENT_ERROR", str(error)) from error
        except ClientError as error:
            raise PhaseError("CLIENT_ERROR", f"artifacts: {error}") from error

    def _record_reports(self, buildspec: Buildspec, environment: Mapping[str, str]) -> None:
        arns = []
        for name, report in buildspec.reports.items():
            try:
                found = files.select(report.files, self._source_dir, environment)
                arns.append(
                    self._reports.add(
                        self.record, name, report.file_format, [path for _, path in found]
                    )
                )
            except (files.FilesError, ReportError) as error:
                raise PhaseError("CLIENT_ERROR", f"report {name}: {error}") from error
        self.record.update(reportArns=arns)

    def _put_artifacts(self, buildspec: Buildspec, environment: Mapping[str, str]) -> None:
        put = partial(
            Destination.put,
            s3=self._clients("s3"),
            source_dir=self._source_dir,
            environment=environment,
        )
        secondary = []
        for destination in self._destinations:
            if destination.identifier:
                selection = buildspec.secondary_artifacts.get(destination.identifier)
                if selection is None:
                    raise files.FilesError(
                        f"no artifacts.secondary-artifacts.{destination.identifier} in the "
                        "build specification"
                    )
                secondary.append(put(destination, selection=selection))
            elif buildspec.artifacts is not None:
                self.record.update(artifacts=put(destination, selection=buildspec.artifacts))
        if secondary:
            self.record.update(secondaryArtifacts=secondary)
