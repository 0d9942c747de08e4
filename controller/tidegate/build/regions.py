"""The regions that botocore knows, as the core wants them."""

from __future__ import annotations

import re
from functools import cache

from botocore.loaders import create_loader

from tidegate.core.model.regions import Partition


@cache
def aws_partitions() -> tuple[Partition, ...]:
    """All partitions, without what is no region of them (``aws-global``)."""
    return tuple(
        Partition(
            id=one["id"],
            pattern=one["regionRegex"],
            regions=frozenset(
                name for name in one["regions"] if re.match(one["regionRegex"], name)
            ),
        )
        for one in create_loader().load_data("partitions")["partitions"]
    )
