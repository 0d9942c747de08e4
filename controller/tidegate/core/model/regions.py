"""Which regions there are, and which of them one controller can reach.

Regions come in partitions (``aws``, ``aws-cn``, ``aws-us-gov``). Accounts, roles and ARNs end at a
partition's border. The list is an argument: it changes with each release of AWS's libraries.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tidegate.core.text.quantities import describe
from tidegate.core.text.yaml_document import Path, dotted

if TYPE_CHECKING:
    from tidegate.core.model.manifest import Manifest, StageSpec


@dataclass(frozen=True, slots=True)
class Partition:
    """Regions with accounts and roles in common."""

    id: str  # "aws-cn"
    pattern: str  # of the names of its regions, those of the future included
    regions: frozenset[str]


@dataclass(frozen=True, slots=True)
class RegionProblem:
    """What is wrong with the value at ``at`` in the manifest."""

    at: Path
    message: str
    remedy: str


def partition_of(region: str, partitions: Iterable[Partition]) -> str:
    """The id of the region's partition; "" when no region of any partition is named like it."""
    return next((one.id for one in partitions if re.fullmatch(one.pattern, region)), "")


def unknown_region(region: str, partitions: Sequence[Partition]) -> tuple[str, str] | None:
    """The message and the remedy when no region is named so; None when one is, or could be."""
    if partition_of(region, partitions):
        return None
    hint = _suggestion(region, _listed(partitions))
    return (
        f"there is no region {describe(region)}.",
        hint.strip() or "Write its code, such as eu-west-1.",
    )


def region_problems(manifest: Manifest, partitions: Sequence[Partition]) -> Iterator[RegionProblem]:
    """What no release could deploy to: no region at all, or one of another partition.

    One controller assumes the roles of all stages, and no role can be assumed across partitions
    (IAM User Guide, "Roles terms and concepts", Delegation). So a manifest keeps to one partition,
    and every ARN in it is of that one.
    """
    first: tuple[StageSpec, str, str] | None = None
    for number, stage in enumerate(manifest.stages):
        place = ("stages", number)
        here: tuple[str, str] | None = None
        for region, at in stage.places():
            if unknown := unknown_region(region, partitions):
                yield RegionProblem((*place, *at), *unknown)
                continue
            partition = partition_of(region, partitions)
            first = first or (stage, region, partition)
            here = here or (region, partition)
            if partition != first[2]:
                message = f"{region} is in the partition {partition}, and {_place(first, stage)}."
                yield RegionProblem((*place, *at), message, _ONE_PARTITION)
        if here:
            yield from _arns_elsewhere(stage.model_dump(), place, *here)
    if first:
        _, region, partition = first
        of_all = manifest.model_dump(exclude={"stages"})
        yield from _arns_elsewhere(of_all, (), region, partition)


def unlisted_regions(manifest: Manifest, partitions: Sequence[Partition]) -> tuple[str, ...]:
    """One sentence for each region that is named like one, but is not in the list.

    It may be newer than the list, so it is no error.
    """
    listed = _listed(partitions)
    return tuple(
        f"{dotted(('stages', number, *at))}: {region} is not in the list of regions that came with"
        f" botocore.{_suggestion(region, listed)} If it is new, all is well."
        for number, stage in enumerate(manifest.stages)
        for region, at in stage.places()
        if region not in listed and partition_of(region, partitions)
    )


_ARN = re.compile(r"arn:(?P<partition>[a-z0-9-]+):(?P<service>[a-z0-9-]+):")
_ONE_PARTITION = (
    "No role can be assumed across partitions. Keep the regions of one partition here, and release"
    " to the other with a manifest, a pipeline and a controller of its own."
)


def _place(first: tuple[StageSpec, str, str], stage: StageSpec) -> str:
    """Where the partition was said that all others must agree with."""
    of_first, region, partition = first
    where = "the same stage" if of_first is stage else f"the stage {of_first.name}"
    if of_first is not stage and of_first.account == stage.account:
        where += f", which has the same account {stage.account},"
    return f"{region} of {where} is in {partition}"


def _arns_elsewhere(
    value: object, at: Path, region: str, partition: str
) -> Iterator[RegionProblem]:
    """The ARNs in this part of the manifest that are not of the region's partition."""
    if isinstance(value, str) and (arn := _ARN.match(value)) and arn["partition"] != partition:
        yield RegionProblem(
            at,
            f"{value} is in the partition {arn['partition']}, and {region} is in {partition}.",
            f"Name one that begins with `arn:{partition}:{arn['service']}:`.",
        )
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, one in items:
        yield from _arns_elsewhere(one, (*at, key), region, partition)


def _suggestion(region: str, listed: Iterable[str]) -> str:
    near = difflib.get_close_matches(region, sorted(listed), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _listed(partitions: Iterable[Partition]) -> set[str]:
    return set(chain.from_iterable(one.regions for one in partitions))
