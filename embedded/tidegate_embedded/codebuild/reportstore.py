"""The test reports that builds have left, as BatchGetReports and DescribeTestCases show them."""

import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tidegate_embedded.codebuild.record import BuildRecord
from tidegate_embedded.codebuild.reports import Case, ReportError, read_junit, summarize, verdict


class ReportStore:
    """Reports by ARN."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: dict[str, dict[str, Any]] = {}
        self._cases: dict[str, list[dict[str, Any]]] = {}

    def add(self, record: BuildRecord, name: str, file_format: str, paths: list[Path]) -> str:
        """Read the result files of a build and keep the report; return its ARN.

        Raises `ReportError` for a format other than JUnit XML, and for files that are not that.
        """
        if file_format != "JUNITXML":
            raise ReportError(f"file-format {file_format}: the embedded AWS reads JUNITXML only")
        cases = read_junit(paths)
        group = f"{record['projectName']}-{name}"
        prefix = f"arn:aws:codebuild:{record.region}:{record.account}"
        arn = f"{prefix}:report/{group}:{uuid.uuid4()}"
        report = {
            "arn": arn,
            "type": "TEST",
            "name": name,
            "reportGroupArn": f"{prefix}:report-group/{group}",
            "executionId": record["arn"],
            "status": verdict(cases),
            "created": time.time(),
            "exportConfig": {"exportConfigType": "NO_EXPORT"},
            "truncated": False,
            "testSummary": summarize(cases),
        }
        with self._lock:
            self._reports[arn] = report
            self._cases[arn] = [_test_case(arn, case) for case in cases]
        return arn

    def get(self, arns: Iterable[str]) -> list[dict[str, Any]]:
        """The reports that exist, of those named."""
        with self._lock:
            return [self._reports[arn] for arn in arns if arn in self._reports]

    def cases(self, arn: str) -> list[dict[str, Any]] | None:
        """The test cases of a report."""
        with self._lock:
            return self._cases.get(arn)


def _test_case(arn: str, case: Case) -> dict[str, Any]:
    return {
        "reportArn": arn,
        "prefix": case.prefix,
        "name": case.name,
        "status": case.status,
        "durationInNanoSeconds": int(case.duration_seconds * 1e9),
        "message": case.message,
    }
