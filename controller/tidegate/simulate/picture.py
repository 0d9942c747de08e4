"""The picture of a simulation, as SVG: users harmed, and how soon a regression is caught."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from tidegate.simulate.trial import Finding, Outcome, Report

_WIDTH = 960
_ROW = 44
_TOP = 112
_LEFT, _PANEL, _GAP = 110, 360, 90
_INK, _FAINT, _OURS, _THEIRS = "#1f2328", "#8c959f", "#0969da", "#bc4c00"
_COLOURS = ("#0969da", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#0550ae", "#953800")
_FONT = "ui-sans-serif, system-ui, sans-serif"
_LAST_MINUTE = 60


def draw_picture(report: Report) -> str:
    """The report as an SVG document."""
    findings = [one for one in report.findings if one.regression != "none"]
    height = _TOP + _ROW * max(len(findings), 3) + 78
    attributes = f'viewBox="0 0 {_WIDTH} {height}" font-size="13" fill="{_INK}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes} font-family="{_FONT}">',
        f"<title>{escape(_title(report))}</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        _text(24, 32, _title(report), size=16, weight="bold"),
        _text(24, 54, _subtitle(report), fill=_FAINT),
        *_harm_panel(findings, report, height - 50),
        *_time_panel(findings, height - 50),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(report: Report) -> str:
    return f"What the strategy {report.strategy} catches" + (
        f" in {report.stage}" if report.stage else ""
    )


def _subtitle(report: Report) -> str:
    return (
        f"{report.profile.mean_rate:g} requests/s, {report.profile.error_rate * 100:.3g} % fail on"
        f" stable; {report.runs:,} runs each, seed {report.seed}. Healthy releases taken back:"
        f" {report.findings[0].ours.caught:.1%}."
    )


# --- users harmed


def _harm_panel(findings: Sequence[Finding], report: Report, bottom: int) -> Iterator[str]:
    """A row for each regression, on a logarithmic scale."""
    most = max((o.harmed for f in findings for o in f.outcomes), default=1.0)
    decades = max(1, math.ceil(math.log10(max(most, 10.0))))

    def x(harmed: float) -> float:
        return _LEFT + _PANEL * math.log10(max(harmed, 1.0)) / decades

    yield _text(_LEFT, 84, f"Users' requests harmed within {report.horizon_minutes} min, mean")
    for decade in range(decades + 1):
        yield _line(x(10**decade), _TOP - 12, x(10**decade), bottom - 12, "#d0d7de")
        label = "0-1" if decade == 0 else f"{10**decade:,}"
        yield _text(x(10**decade), bottom + 4, label, anchor="middle", fill=_FAINT)
    for row, finding in enumerate(findings):
        y = _TOP + row * _ROW + 8
        yield _text(_LEFT - 14, y + 4, finding.regression, anchor="end")
        for preset in finding.outcomes[1:]:
            yield _line(x(preset.harmed), y - 7, x(preset.harmed), y + 7, _FAINT)
        best = finding.best_preset
        yield _circle(x(best.harmed), y, "#ffffff", _THEIRS, _about(best))
        yield _circle(x(finding.ours.harmed), y, _OURS, _OURS, _about(finding.ours))
    yield _circle(_LEFT, bottom + 26, _OURS, _OURS, "")
    yield _text(_LEFT + 12, bottom + 30, "Tidegate")
    yield _circle(_LEFT + 90, bottom + 26, "#ffffff", _THEIRS, "")
    yield _text(_LEFT + 102, bottom + 30, "best preset of CodeDeploy")
    yield _line(_LEFT + 278, bottom + 19, _LEFT + 278, bottom + 33, _FAINT)
    yield _text(_LEFT + 288, bottom + 30, "the others")


def _about(outcome: Outcome) -> str:
    alarm = f", alarm on {outcome.alarm}" if outcome.alarm else ""
    return f"{outcome.policy}{alarm}: {outcome.harmed:,.1f} harmed, {outcome.caught:.1%} caught"


# --- time to catch


def _time_panel(findings: Sequence[Finding], bottom: int) -> Iterator[str]:
    """The share that is caught by each minute: ours as a line, the best preset dashed."""
    left = _LEFT + _PANEL + _GAP
    floor, roof = bottom - 12, _TOP - 12
    yield _text(left, 84, "Share of releases caught by minute (dashed: best preset)")
    for share in (0.0, 0.5, 1.0):
        y = floor - (floor - roof) * share
        yield _line(left, y, left + _PANEL, y, "#d0d7de")
        yield _text(left - 8, y + 4, f"{share:.0%}", anchor="end", fill=_FAINT)
    for minute in range(0, _LAST_MINUTE + 1, 10):
        x = left + _PANEL * minute / _LAST_MINUTE
        yield _text(x, bottom + 4, str(minute), anchor="middle", fill=_FAINT)
    for row, finding in enumerate(findings):
        colour = _COLOURS[row % len(_COLOURS)]
        for outcome, dashes in ((finding.best_preset, "4 4"), (finding.ours, "")):
            points = " ".join(
                f"{left + _PANEL * minute / _LAST_MINUTE:.1f},{floor - (floor - roof) * share:.1f}"
                for minute, share in _steps(outcome)
            )
            dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
            yield (
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"'
                f"{dashed}><title>{escape(finding.regression)}: {escape(outcome.policy)}</title>"
                "</polyline>"
            )
        yield _line(
            left + row * 72, bottom + 26, left + row * 72 + 12, bottom + 26, colour, width=3
        )
        yield _text(left + row * 72 + 16, bottom + 30, finding.regression, size=11)


def _steps(outcome: Outcome) -> Iterator[tuple[int, float]]:
    """The corners of a staircase."""
    before = 0.0
    for minute in range(_LAST_MINUTE + 1):
        scenario = outcome.caught_by_minute
        share = scenario[min(minute, len(scenario) - 1)] if scenario else 0.0
        yield minute, before
        yield minute, share
        before = share


# --- shapes


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 13,
    anchor: str = "start",
    fill: str = _INK,
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
        f' font-weight="{weight}">{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: int = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
        f' stroke-width="{width}"/>'
    )


def _circle(x: float, y: float, fill: str, stroke: str, title: str) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{fill}" stroke="{stroke}"'
        f' stroke-width="2"><title>{escape(title)}</title></circle>'
    )
