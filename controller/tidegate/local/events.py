"""Events that AWS services themselves put on the default bus of an account."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge


def publish_service_event(
    *,
    account: str,
    region: str,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: Sequence[str],
) -> None:
    """Put an event on the bus as the service `source` (such as `aws.codebuild`).

    PutEvents refuses sources that begin with `aws.`, here as in AWS: only services may use them.
    """
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
