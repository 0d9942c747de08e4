"""Finds names in a manifest that are nearly those of resources, and so perhaps slips.

An alarm or a dimension may be of another stack, so that the template need not have the name.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Final

from tidegate.build.template import Template, of_type
from tidegate.core.model.manifest import Manifest, MetricCheck, StageSpec

_ALARMS: Final = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
_NEAR: Final = 0.8  # of difflib's ratio: a letter that is missing, doubled or swapped


def find_slips(manifest: Manifest, template: Template) -> Iterator[str]:
    """A sentence for each alarm or dimension that is nearly the logical id of a resource."""
    alarms = [name for kind in _ALARMS for name in of_type(template, kind)]
    for stage in manifest.stages:
        for name in stage.checks.alarms or ():
            if near := _nearest(name, alarms):
                yield (
                    f'stage {stage.name} watches the alarm "{name}", and the template has'
                    f' "{near}": did you mean that?'
                )
        for dimension, value in _dimensions(stage):
            if near := _nearest(value, template["Resources"]):
                yield (
                    f'stage {stage.name} has the dimension {dimension} "{value}", and the template'
                    f' has "{near}": did you mean that?'
                )


def _nearest(name: str, known: Collection[str]) -> str:
    """The known name that this one nearly is; "" when it is one of them, or none."""
    if name in known:
        return ""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=_NEAR)), "")


def _dimensions(stage: StageSpec) -> Iterator[tuple[str, str]]:
    for metric in stage.checks.metrics:
        yield from dict.fromkeys(_of_metric(metric))


def _of_metric(metric: MetricCheck) -> Iterator[tuple[str, str]]:
    compared = (metric.compare.events, metric.compare.of) if metric.compare else ()
    for stat in (metric.stat, *metric.stats.values(), *compared):
        if stat is not None:
            yield from stat.dimensions.items()
