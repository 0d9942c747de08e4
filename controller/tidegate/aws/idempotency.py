"""Calls that must not happen twice at the same time, kept apart by a record in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError
from aws_lambda_powertools.utilities.typing import LambdaContext

from tidegate.aws.settings import settings
from tidegate.core.errors import RecordConflict

_KEPT_SECONDS: Final = 24 * 3600


def do_once(
    key: Mapping[str, str], context: LambdaContext, act: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The answer of the first call with this key that succeeded; others do not act at all.

    One that raises may be repeated. Raises ``RecordConflict`` while another call is under way;
    one that died is under way until its function's time is over.
    """
    config = IdempotencyConfig(
        expires_after_seconds=_KEPT_SECONDS, hash_function="sha256", lambda_context=context
    )

    def once(*, key: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001 - the guard reads it
        return act()

    guarded: Callable[..., dict[str, Any]] = idempotent_function(
        once,
        data_keyword_argument="key",
        persistence_store=_store(context.function_name),
        config=config,
        key_prefix=context.function_name,
    )
    try:
        return guarded(key=dict(key))
    except IdempotencyAlreadyInProgressError as error:
        raise RecordConflict("The same call is under way.") from error


@cache
def _store(function: str) -> DynamoDBPersistenceLayer:
    return DynamoDBPersistenceLayer(
        table_name=settings().table,
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value=f"IDEMPOTENCY#{function}",
        expiry_attr="expires_at",
    )
