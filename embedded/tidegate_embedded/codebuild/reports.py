"""Test reports of a build: counts and cases read from JUnit XML."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

STATUSES: Final = ("SUCCEEDED", "FAILED", "ERROR", "SKIPPED", "UNKNOWN")
_OUTCOMES: Final = {"failure": "FAILED", "error": "ERROR", "skipped": "SKIPPED"}


class ReportError(ValueError):
    """A file of test results cannot be read."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test case."""

    name: str
    prefix: str
    status: str
    duration_seconds: float
    message: str = ""


def read_junit(files: Iterable[Path]) -> list[Case]:
    """All test cases of JUnit XML files."""
    cases: list[Case] = []
    for file in files:
        try:
            # The build wrote the file: it may do as it likes to this process of its own user.
            root = ET.parse(file).getroot()  # noqa: S314
            cases += [_case(element) for element in root.iter("testcase")]
        except (ET.ParseError, ValueError) as error:
            raise ReportError(f"{file.name} is not JUnit XML: {error}") from error
    return cases


def summarize(cases: Iterable[Case]) -> dict[str, Any]:
    """The `testSummary` of a report."""
    found = list(cases)
    counts = Counter(case.status for case in found)
    return {
        "total": len(found),
        "statusCounts": {status: counts[status] for status in STATUSES},
        "durationInNanoSeconds": int(sum(case.duration_seconds for case in found) * 1e9),
    }


def verdict(cases: Iterable[Case]) -> str:
    """The status of a report: failed if a case failed or ended in an error."""
    return "FAILED" if any(case.status in {"FAILED", "ERROR"} for case in cases) else "SUCCEEDED"


def _case(element: ET.Element) -> Case:
    for child in element:
        if child.tag in _OUTCOMES:
            status = _OUTCOMES[child.tag]
            message = child.get("message") or (child.text or "").strip()
            break
    else:
        status, message = "SUCCEEDED", ""
    return Case(
        name=element.get("name", ""),
        prefix=element.get("classname", ""),
        status=status,
        duration_seconds=float((element.get("time") or "0").replace(",", "")),
        message=message,
    )
