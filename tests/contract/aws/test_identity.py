"""Who asks is what STS says, for exactly what was signed."""

from __future__ import annotations

import boto3
import pytest

from tidegate.aws import identity
from tidegate.aws.identity import SUBJECT_HEADER, prove, verify
from tidegate.core.errors import NotAllowedNow

SUBJECT = "approve:hello-7:prod"


def test_learns_from_sts_who_signed(session: boto3.Session, account: str) -> None:
    who = verify(session, prove(session, SUBJECT), SUBJECT)
    assert who == session.client("sts").get_caller_identity()["Arn"]
    assert account in who


def test_proof_holds_no_secret(session: boto3.Session) -> None:
    credentials = session.get_credentials()
    assert credentials
    assert credentials.secret_key not in str(prove(session, SUBJECT)["headers"]["authorization"])


def test_proof_for_one_decision_is_none_for_another(session: boto3.Session) -> None:
    proof = prove(session, SUBJECT)
    with pytest.raises(NotAllowedNow, match="it is for 'approve:hello-7:prod'"):
        verify(session, proof, "reject:hello-7:prod")


def test_subject_that_was_changed_on_the_way_is_not_sent_to_sts(session: boto3.Session) -> None:
    proof = prove(session, SUBJECT)
    authorization = proof["headers"]["authorization"].replace(f";{SUBJECT_HEADER}", "")
    unsigned = {"headers": {**proof["headers"], "authorization": authorization}}
    with pytest.raises(NotAllowedNow, match="what it is for is not signed"):
        verify(session, unsigned, SUBJECT)


@pytest.mark.parametrize("proof", [{}, {"headers": "none"}, {"headers": {}}])
def test_what_is_no_proof_is_refused(session: boto3.Session, proof: dict[str, object]) -> None:
    with pytest.raises(NotAllowedNow, match="The proof of identity is not valid"):
        verify(session, proof, SUBJECT)


def test_signature_for_another_service_is_refused(session: boto3.Session) -> None:
    proof = prove(session, SUBJECT)
    authorization = proof["headers"]["authorization"].replace("/sts/", "/s3/")
    other = {"headers": {**proof["headers"], "authorization": authorization}}
    with pytest.raises(NotAllowedNow, match="it is not signed for STS"):
        verify(session, other, SUBJECT)


def test_refusal_of_sts_is_told(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        b"<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code>"
        b"<Message>Signature expired</Message></Error></ErrorResponse>"
    )
    answer = {"headers": {}, "body": body, "status_code": 403}
    monkeypatch.setattr(identity, "_send", lambda request: (403, answer))
    with pytest.raises(NotAllowedNow, match="STS does not accept it: Signature expired"):
        verify(session, prove(session, SUBJECT), SUBJECT)


def test_answer_that_is_none_is_refused(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"headers": {}, "body": b"<html", "status_code": 200}
    monkeypatch.setattr(identity, "_send", lambda request: (200, answer))
    with pytest.raises(NotAllowedNow, match="STS answered 200 and no identity"):
        verify(session, prove(session, SUBJECT), SUBJECT)


def test_endpoint_that_cannot_be_reached_is_told(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = prove(session, SUBJECT)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NotAllowedNow, match="STS cannot be asked"):
        verify(boto3.Session(region_name="eu-west-1"), proof, SUBJECT)


def test_nobody_signs_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    session = boto3.Session(region_name="eu-west-1")
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    with pytest.raises(NotAllowedNow, match="no AWS credentials"):
        prove(session, SUBJECT)
