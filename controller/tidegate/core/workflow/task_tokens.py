"""Task tokens: kept where only the controller reads them, answered as soon as can be."""

from __future__ import annotations

from datetime import datetime

from tidegate.core.approval.identity import identify
from tidegate.core.errors import Aborted
from tidegate.core.model.failure import Failure
from tidegate.core.model.record import (
    Approval,
    Call,
    Decision,
    HookRun,
    OperatorRequest,
    Outcome,
    Rollout,
    Token,
    token_partition,
)
from tidegate.core.ports import Ports
from tidegate.core.workflow.records import (
    abort_cause,
    abort_request,
    find,
    operator_requests,
    put_over,
    superseded_cause,
)

_APPROVAL = "approval#"
_HOOK = "hook#"


def approval_purpose(stage: str) -> str:
    """What a token that waits for people is kept for."""
    return f"{_APPROVAL}{stage}"


def bake_purpose(stage: str, target: str) -> str:
    """What the token of a baking rollout is kept for."""
    return f"bake#{stage}#{target}"


def hook_purpose(run_id: str) -> str:
    """What the token of a hook that answers later is kept for."""
    return f"{_HOOK}{run_id}"


def keep_token(ports: Ports, release_id: str, purpose: str, token: str, until: datetime) -> Token:
    """Keep the token in place of an earlier one; the table forgets it some time after ``until``."""
    item = Token(
        release_id=release_id, purpose=purpose, token=token, expires_at=int(until.timestamp())
    )
    return put_over(ports.ledger, item)


def answer_approval(ports: Ports, release_id: str, stage: str) -> None:
    """Answer the token of a request that is decided, or that an abort makes pointless.

    The decision is read after the token was kept or the decision was written, whichever came
    last, so that neither of two concurrent callers can miss the other.
    """
    approval = find(ports.ledger, Approval, release_id=release_id, stage=stage)
    token = find(ports.ledger, Token, release_id=release_id, purpose=approval_purpose(stage))
    if approval is None or token is None:
        return
    if approval.decision is Decision.APPROVED:
        ports.callbacks.succeed(token.token, {})
    elif approval.decision is Decision.REJECTED:
        ports.callbacks.fail(token.token, "ApprovalRejected", rejection_cause(approval))
    else:
        _answer_abort(ports, token)


def answer_hook(ports: Ports, run: HookRun) -> None:
    """Answer the token of a hook that has ended, or whose release an operator aborts.

    ``run`` is read after the token was kept or after it was written, whichever came last, so that
    neither of two concurrent callers can miss the other.
    """
    purpose = hook_purpose(run.id)
    token = find(ports.ledger, Token, release_id=run.release_id, purpose=purpose)
    if token is None:
        return
    if run.outcome is Outcome.PASSED:
        ports.callbacks.succeed(token.token, {"outcome": "passed"})
    elif run.outcome is Outcome.FAILED:
        ports.callbacks.fail(token.token, "HookFailed", failed_cause(run))
    else:
        _fail_aborted(ports, token)


def failed_cause(run: HookRun) -> str:
    """The sentence that says which hook failed, and why."""
    return f"{run.when} hook {run.function} failed: {run.cause}"


def answer_bake(ports: Ports, token: Token, decided: Failure | None = None) -> None:
    """End the bake now, if something came that the rollout's last evaluation did not know of.

    A rollout that is being restored already fails its bake: no evaluation is needed any more.
    ``decided`` is why the caller wants it restored, and it fails the bake whatever the record says:
    a write that nobody answered may be in it, or on its way to it. Else the next evaluation knows
    of what came, whatever it makes of it, so nothing ends two bakes. The token is kept before what
    came is read, and what comes is kept before the token is read: neither of two concurrent callers
    can miss the other.
    """
    _, stage, target = token.purpose.split("#", 2)
    rollout = find(ports.ledger, Rollout, release_id=token.release_id, stage=stage, target=target)
    known = rollout.heard if rollout else ()
    why = Failure(rollout.error, rollout.cause) if rollout and rollout.error else decided
    if why:
        ports.callbacks.fail(token.token, why.error, why.cause)
    elif any(
        item.mark not in known for item in received_by(ports, token.release_id, stage, target)
    ):
        ports.callbacks.succeed(token.token, {})


def received_by(
    ports: Ports, release_id: str, stage: str, target: str
) -> list[OperatorRequest | Call]:
    """All that operators and alarms have sent to this rollout."""
    call = find(ports.ledger, Call, release_id=release_id, stage=stage, target=target)
    return [*operator_requests(ports, release_id), *([call] if call else [])]


def answer_all(ports: Ports, release_id: str) -> None:
    """Answer whatever waits in this release, after an operator request."""
    items = ports.ledger.query(token_partition(release_id))
    for token in [item for item in items if isinstance(item, Token)]:
        _answer(ports, token)


def rejection_cause(approval: Approval) -> str:
    """The sentence that says who rejected the stage, and why."""
    against = next(vote for vote in reversed(approval.votes) if not vote.approve)
    of = f"{approval.stage} of {approval.release_id}"
    return f"{identify(against.who)} rejected {of}: {against.reason}"


def _answer(ports: Ports, token: Token) -> None:
    if token.purpose.startswith(_APPROVAL):
        _answer_abort(ports, token)
    elif token.purpose.startswith(_HOOK):
        _fail_aborted(ports, token)
    else:
        request = abort_request(ports, token.release_id)
        answer_bake(
            ports, token, Failure(Aborted.__name__, abort_cause(request)) if request else None
        )


def _answer_abort(ports: Ports, token: Token) -> None:
    newer = find(ports.ledger, OperatorRequest, release_id=token.release_id, verb="supersede")
    if not _fail_aborted(ports, token) and newer:
        ports.callbacks.fail(token.token, "Superseded", superseded_cause(newer))


def _fail_aborted(ports: Ports, token: Token) -> bool:
    """Whether an operator wants the release to end; then the token says so."""
    request = abort_request(ports, token.release_id)
    if request:
        ports.callbacks.fail(token.token, "Aborted", abort_cause(request))
    return request is not None
