"""What AWS says is told in our words: worth a retry, or not."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from tidegate.aws.errors import calling
from tidegate.core.errors import (
    NotFound,
    ServiceRefused,
    ServiceUnavailable,
    TidegateError,
    Transient,
)


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "It is so."},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        "GetAlias",
    )


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        (refusal("TooManyRequestsException", 429), ServiceUnavailable),
        (refusal("ThrottlingException"), ServiceUnavailable),
        (refusal("ResourceConflictException", 409), ServiceUnavailable),
        (refusal("Anything", 503), ServiceUnavailable),
        (refusal("AccessDeniedException", 403), ServiceRefused),
        (refusal("ValidationException"), ServiceRefused),
        (refusal("ResourceNotFoundException", 404), NotFound),
    ],
)
def test_tells_what_passes_from_what_does_not(said: ClientError, ours: type[TidegateError]) -> None:
    with pytest.raises(ours) as told, calling("read it", {"ResourceNotFoundException": NotFound}):
        raise said

    code = said.response["Error"]["Code"]
    assert told.value.message == f"Tidegate cannot read it: It is so ({code})."


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (EndpointConnectionError(endpoint_url="https://lambda"), True),
        (ReadTimeoutError(endpoint_url="https://lambda"), True),
        (NoCredentialsError(), False),
    ],
)
def test_a_call_that_never_arrived_may_be_repeated(error: BotoCoreError, passes: bool) -> None:
    with pytest.raises(TidegateError, match="Tidegate cannot read it") as told, calling("read it"):
        raise error

    assert isinstance(told.value, Transient) is passes


def test_leaves_all_other_errors_alone() -> None:
    with pytest.raises(KeyError), calling("read it"):
        raise KeyError("ours")


def test_gives_the_mend_with_the_errors_that_it_names() -> None:
    with (
        pytest.raises(NotFound) as told,
        calling("read it", {"Gone": NotFound}, remedy="Make it first."),
    ):
        raise refusal("Gone")

    assert str(told.value) == "Tidegate cannot read it: It is so (Gone). Make it first."
