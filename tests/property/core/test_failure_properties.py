"""What holds for every failure, whatever it is wrapped in."""

import json
from typing import Any

from core_values import json_values
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.model.failure import Failure, release_phase, root_cause

failure_keys = st.sampled_from(
    ["Error", "Cause", "errorType", "errorMessage", "Status", "Name", "ExecutionArn", "other"]
)
statuses = st.sampled_from(["FAILED", "ABORTED", "TIMED_OUT"])


def failures(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(failure_keys, inner | inner.map(json.dumps) | statuses, max_size=6)


@given(failures(st.recursive(json_values, failures, max_leaves=15)))
def test_any_failure_has_a_root(error_output: dict[str, Any]) -> None:
    failure = root_cause(error_output)
    assert isinstance(failure, Failure)
    assert failure.error
    assert release_phase(failure.error).over
