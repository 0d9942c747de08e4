"""The CodeBuild API for builds and reports, and the plug-in that brings it."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tidegate_embedded.cloud import Cloud
from tidegate_embedded.codebuild.build import Build
from tidegate_embedded.codebuild.order import artifact_destinations, build_fields
from tidegate_embedded.codebuild.record import BuildRecord
from tidegate_embedded.codebuild.reportstore import ReportStore
from tidegate_embedded.gateway import Request
from tidegate_embedded.jsonservice import ApiError, JsonService

_TOKEN_SECONDS: Final = 300.0
"""How long an idempotency token holds."""


class CodeBuild:
    """Plug-in that runs builds."""

    def install(self, cloud: Cloud) -> None:
        """Answer the operations on builds; end all builds when the embedded AWS stops."""
        service = BuildService(cloud)
        cloud.add_route(service.route)
        cloud.on_stop(service.stop)


class BuildService:
    """The operations on builds, and the builds of all accounts and regions."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._directory: Path = cloud.state_dir / "codebuild"
        self._lock = threading.Lock()
        self._builds: dict[str, Build] = {}
        self._numbers: Counter[str] = Counter()
        self._tokens: dict[tuple[str, str], tuple[float, str]] = {}
        self._reports = ReportStore()
        self.route = JsonService(
            "CodeBuild_20161006",
            {
                "StartBuild": self._start_build,
                "BatchGetBuilds": self._batch_get_builds,
                "StopBuild": self._stop_build,
                "ListBuilds": self._list_builds,
                "ListBuildsForProject": self._list_builds,
                "BatchGetReports": self._batch_get_reports,
                "DescribeTestCases": self._describe_test_cases,
            },
        )

    def stop(self) -> None:
        """End the builds that run."""
        with self._lock:
            builds = list(self._builds.values())
        for build in builds:
            build.stop()

    def _start_build(self, request: Request) -> dict[str, Any]:
        order = request.json()
        project = self._project(request, order["projectName"])
        with self._lock:
            build = self._of_token(request, order) or self._new_build(request, order, project)
        return {"build": build.record.describe()}

    def _project(self, request: Request, name: str) -> dict[str, Any]:
        client = self._cloud.client("codebuild", account=request.account, region=request.region)
        found: list[dict[str, Any]] = client.batch_get_projects(names=[name])["projects"]
        if not found:
            arn = f"arn:aws:codebuild:{request.region}:{request.account}:project/{name}"
            raise ApiError("ResourceNotFoundException", f"Project cannot be found: {arn}")
        return found[0]

    def _of_token(self, request: Request, order: Mapping[str, Any]) -> Build | None:
        """The build that an earlier request with the same token has started."""
        token = order.get("idempotencyToken")
        if token is None:
            return None
        key = (f"{request.account}:{request.region}:{order['projectName']}", token)
        started, arn = self._tokens.get(key, (0.0, ""))
        if time.monotonic() - started > _TOKEN_SECONDS:
            return None
        return self._builds.get(arn)

    def _new_build(
        self, request: Request, order: Mapping[str, Any], project: Mapping[str, Any]
    ) -> Build:
        name = project["name"]
        scope = f"{request.account}:{request.region}:{name}"
        number = self._numbers[scope] + 1
        build_id = f"{name}:{uuid.uuid4()}"
        fields = build_fields(request, order, project, build_id)
        destinations = artifact_destinations(order, project, build_id)
        record = BuildRecord(
            {
                **fields,
                "buildNumber": number,
                "artifacts": next((d.describe() for d in destinations if not d.identifier), {}),
                "secondaryArtifacts": [d.describe() for d in destinations if d.identifier],
            },
            account=request.account,
            region=request.region,
        )
        build = Build(
            record,
            cloud=self._cloud,
            directory=self._directory / build_id.replace(":", "/"),
            destinations=destinations,
            timeout_seconds=fields["timeoutInMinutes"] * 60,
            reports=self._reports,
        )
        self._numbers[scope] = number
        self._builds[fields["arn"]] = build
        if token := order.get("idempotencyToken"):
            self._tokens[scope, token] = (time.monotonic(), fields["arn"])
        build.start()
        return build

    def _batch_get_builds(self, request: Request) -> dict[str, Any]:
        found, missing = [], []
        for identifier in request.json()["ids"]:
            build = self._find(request, identifier)
            if build is None:
                missing.append(identifier)
            else:
                found.append(build.record.describe())
        return {"builds": found, "buildsNotFound": missing}

    def _stop_build(self, request: Request) -> dict[str, Any]:
        identifier = request.json()["id"]
        build = self._find(request, identifier)
        if build is None:
            raise ApiError("ResourceNotFoundException", f"Build cannot be found: {identifier}")
        build.stop()
        return {"build": build.record.describe()}

    def _list_builds(self, request: Request) -> dict[str, Any]:
        order = request.json()
        project = order.get("projectName")
        if project is not None:
            self._project(request, project)
        with self._lock:
            records = [build.record for build in self._builds.values()]
        ids = [
            record["id"]
            for record in records
            if (record.account, record.region) == (request.account, request.region)
            and project in {None, record["projectName"]}
        ]
        return {"ids": ids if order.get("sortOrder") == "ASCENDING" else ids[::-1]}

    def _find(self, request: Request, identifier: str) -> Build | None:
        """The build with an id or an ARN."""
        prefix = f"arn:aws:codebuild:{request.region}:{request.account}:build/"
        with self._lock:
            return self._builds.get(prefix + identifier.removeprefix(prefix))

    def _batch_get_reports(self, request: Request) -> dict[str, Any]:
        arns = request.json()["reportArns"]
        reports = self._reports.get(arns)
        found = {report["arn"] for report in reports}
        return {"reports": reports, "reportsNotFound": [arn for arn in arns if arn not in found]}

    def _describe_test_cases(self, request: Request) -> dict[str, Any]:
        order = request.json()
        cases = self._reports.cases(order["reportArn"])
        if cases is None:
            raise ApiError("ResourceNotFoundException", f"No report {order['reportArn']}")
        wanted = order.get("filter", {}).get("status")
        return {"testCases": [case for case in cases if wanted in {None, case["status"]}]}
