"""Says in our words how an AWS call ended: every adapter calls within ``calling``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, which is not Python's
    HTTPClientError,
    IncompleteReadError,
)

from tidegate.core.errors import ServiceRefused, ServiceUnavailable, TidegateError

_SERVER_ERROR: Final = 500
_PASSING: Final = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ResourceConflictException",
    "ServiceException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}


@contextmanager
def calling(
    what: str, errors: Mapping[str, type[TidegateError]] | None = None, *, remedy: str = ""
) -> Iterator[None]:
    """Name the errors of the AWS calls within; ``what`` finishes the sentence "Tidegate cannot".

    ``errors`` maps AWS's error codes to ours; ``mend`` is for those. Any other error is
    ``ServiceUnavailable`` when it may pass by itself, or ``ServiceRefused``.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        message = f"Tidegate cannot {what}: {error_message(error)} ({code})."
        if errors and code in errors:
            raise errors[code](message, remedy=remedy) from error
        if code in _PASSING or _status(error) >= _SERVER_ERROR:
            raise ServiceUnavailable(message) from error
        raise ServiceRefused(
            message, remedy="See that Tidegate's role may do this, and that its settings are right."
        ) from error
    except (HTTPClientError, ConnectionError, IncompleteReadError) as error:
        raise ServiceUnavailable(f"Tidegate cannot {what}: {error}.") from error
    except BotoCoreError as error:  # credentials, region, parameters: nothing that passes
        raise ServiceRefused(f"Tidegate cannot {what}: {error}.") from error


def error_code(error: ClientError) -> str:
    """AWS's name of the error."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def error_message(error: ClientError) -> str:
    """AWS's explanation of the error, without a full stop."""
    return error.response.get("Error", {}).get("Message", "").rstrip(". ") or "no reason given"


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
