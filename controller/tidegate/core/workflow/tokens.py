"""Task tokens: kept where only the controller reads them, answered as soon as can be."""

from __future__ import annotations

from datetime import datetime

from tidegate.core.errors import Aborted
from tidegate.core.failure import Failure
from tidegate.core.identity import identify
from tidegate.core.ports import Ports
from tidegate.core.record import (
    Approval,
    Call,
    Decision,
    HookRun,
    Outcome,
    Rollout,
    Token,
    Wish,
    token_partition,
)
from tidegate.core.workflow.items import (
    abort_cause,
    abort_wish,
    find,
    put_over,
    superseded_cause,
    wishes,
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
    """End the bake now, if something was said that the rollout's last look did not know of.

    A rollout that goes back already fails its bake: no look is needed any more. ``decided`` is why
    the caller wants it back, and it fails the bake whatever the record says: a write that nobody
    answered may be in it, or on its way to it. Else the next look knows of what was said, whatever
    it makes of it, so nothing ends two bakes. The token is kept before what was said is read, and
    what is said is kept before the token is read: neither of two concurrent callers can miss the
    other.
    """
    _, stage, target = token.purpose.split("#", 2)
    rollout = find(ports.ledger, Rollout, release_id=token.release_id, stage=stage, target=target)
    known = rollout.heard if rollout else ()
    why = Failure(rollout.error, rollout.cause) if rollout and rollout.error else decided
    if why:
        ports.callbacks.fail(token.token, why.error, why.cause)
    elif any(said.mark not in known for said in said_to(ports, token.release_id, stage, target)):
        ports.callbacks.succeed(token.token, {})


def said_to(ports: Ports, release_id: str, stage: str, target: str) -> list[Wish | Call]:
    """All that was said to this rollout, by operators and by alarms."""
    call = find(ports.ledger, Call, release_id=release_id, stage=stage, target=target)
    return [*wishes(ports, release_id), *([call] if call else [])]


def answer_all(ports: Ports, release_id: str) -> None:
    """Answer whatever waits in this release, after an operator's wish."""
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
        wish = abort_wish(ports, token.release_id)
        answer_bake(ports, token, Failure(Aborted.__name__, abort_cause(wish)) if wish else None)


def _answer_abort(ports: Ports, token: Token) -> None:
    newer = find(ports.ledger, Wish, release_id=token.release_id, verb="supersede")
    if not _fail_aborted(ports, token) and newer:
        ports.callbacks.fail(token.token, "Superseded", superseded_cause(newer))


def _fail_aborted(ports: Ports, token: Token) -> bool:
    """Whether an operator wants the release to end; then the token says so."""
    wish = abort_wish(ports, token.release_id)
    if wish:
        ports.callbacks.fail(token.token, "Aborted", abort_cause(wish))
    return wish is not None
