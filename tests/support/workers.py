"""Pytest plug-in: which tests run in the same worker of pytest-xdist, one after the other.

Some play each scenario once for all that look at it, others build into the same folder. They are
told by their place: the marker `xdist_group` has no effect since pytest 9.2, whose node ids cannot
be changed after the collection.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling, Scheduling

TOGETHER: Final = {
    "tests/e2e/": "the demonstration builds the controller into the checkout",
    "tests/statemachine/": "each scenario is played once",
    "tests/contract/local/test_lambda_endpoint.py": "they build the example",
    "tests/integration/test_hooks_at_an_endpoint.py": "they build the example",
}
"""What runs together, and why: by the beginning of the tests' ids."""


def group_of(test: str) -> str:
    """The name of the group that a test belongs to; it is its own when it belongs to none."""
    return next((why for place, why in TOGETHER.items() if test.startswith(place)), test)


class InGroups(LoadScopeScheduling):
    """Gives a whole group to a worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Take the place of `--dist`."""
    return InGroups(config, log)
