"""What operators ask of a release under way. Each is safe to repeat, and recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

from tidegate.core import approval as approvals
from tidegate.core.commands import command
from tidegate.core.errors import (
    NotAllowedNow,
    NotFound,
    ReleaseStopped,
    RestoreFailed,
    TidegateError,
)
from tidegate.core.identity import identify
from tidegate.core.plan import ArtifactRef, ReleaseRef
from tidegate.core.ports import Ports
from tidegate.core.quantities import write_share
from tidegate.core.record import (
    Approval,
    Decision,
    Deed,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Vote,
    Wish,
    application_partition,
    release_partition,
)
from tidegate.core.rollout import highest_weight
from tidegate.core.workflow.events import tell_approval_decided, tell_operator, tell_release
from tidegate.core.workflow.items import (
    abort_cause,
    abort_wish,
    find,
    heed_newer,
    heed_wishes,
    plan_of,
    put_over,
    ref_of,
    release_of,
    rollouts_of,
)
from tidegate.core.workflow.lock import free_lock
from tidegate.core.workflow.scene import RolloutRef
from tidegate.core.workflow.takeback import take_back
from tidegate.core.workflow.tokens import answer_all, answer_approval, rejection_cause


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, as AWS names them, the tool that they ask from, and by which proof."""

    who: str
    source: str = ""
    proof: str = ""  # what they signed

    def __str__(self) -> str:
        return str(identify(self.who))


def approve(
    ports: Ports,
    operator: Operator,
    release_id: str,
    stage: str = "",
    reason: str = "",
    *,
    shown: str | None = None,
) -> str:
    """Agree to the stage that waits, as it was ``shown``: the digest that the request is bound to.

    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    asked = _asked(ports, release_id, stage)
    if shown is not None and shown != asked.digest:
        raise NotAllowedNow(
            f"What {asked.stage} of {release_id} asks for is not what you were shown.",
            mend=f"Look at it again: `{command('get', release_id)}`.",
        )
    approval = _vote(ports, operator, asked, _Say(True, reason))
    said = f"{operator} approved {approval.stage} of {release_id}"
    if approval.decision is Decision.PENDING:
        missing = approval.needed - len(approval.votes)
        said = f"{said}; {missing} more must agree."
        why = approvals.why_one_more(approval.doubts)
        return f"{said} It is not certain who wrote this, so {why}." if why else said
    return f"{said}: it goes on."


def reject(ports: Ports, operator: Operator, release_id: str, reason: str, stage: str = "") -> str:
    """Refuse the stage that waits; the release ends. A reason is required.

    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    approval = _vote(ports, operator, _asked(ports, release_id, stage), _Say(False, reason))
    return rejection_cause(approval)


def abort(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """End the release: whatever is split goes back now, the rest where the release goes on.

    Returns a sentence. Raises ``NotAllowedNow`` when it is over, ``NotFound``.
    """
    release = _under_way(ports, release_id)
    wish, failed = ask_to_end(ports, operator, release, reason)
    answer_all(ports, release_id)
    return " ".join([abort_cause(wish), *_ends(ports, release_id, failed)])


def _ends(ports: Ports, release_id: str, failed: Mapping[str, str]) -> Iterator[str]:
    """What the record says by now of each target where the release has begun, each once."""
    rollouts = rollouts_of(ports.ledger, release_id)
    back = [rollout for rollout in rollouts if rollout.is_back]
    if back:
        yield f"Its traffic is back: {_places(back)}."
    for rollout in rollouts:
        place = _places([rollout])
        if not rollout.is_back and rollout.phase is not RolloutPhase.RESTORED:
            yield f"{place} {_how_it_ends(rollout, failed.get(place, ''))}."


def _how_it_ends(rollout: Rollout, failed: str) -> str:
    if rollout.phase in {RolloutPhase.FINISHING, RolloutPhase.SUCCEEDED}:
        return "keeps it: it was validated there"
    if failed:
        return f"is not all back yet, and goes on with it: {failed.rstrip('.')}"
    if rollout.phase is RolloutPhase.RESTORING:
        return "is going back"
    if rollout.phase is RolloutPhase.SHIFTING and rollout.ticks:
        return "goes back at its next evaluation"
    if rollout.phase is RolloutPhase.VERIFYING:
        return "has all traffic, and goes back unless it is validated at this moment"
    return "has no traffic of it, and ends"


def ask_to_end(
    ports: Ports, operator: Operator, release: Release, reason: str
) -> tuple[Wish, dict[str, str]]:
    """Record that the release is to end, and put back what is split now; say what fails, by place.

    Whatever waits for an answer hears of it by ``answer_all``.
    """
    wish = abort_wish(ports, release.id)
    if wish is None:
        wish = _wish(ports, operator, release.id, "abort", reason)
    return wish, dict(_take_back(ports, release))


def _take_back(ports: Ports, release: Release) -> Iterator[tuple[str, str]]:
    """Say what fails here. It is no obstacle: each rollout goes back by itself, too."""
    for rollout in rollouts_of(ports.ledger, release.id):
        ref = RolloutRef(release=ref_of(release), stage=rollout.stage, target=rollout.target)
        try:
            take_back(ports, ref)
        except RestoreFailed as error:
            yield _places([rollout]), "; ".join(error.aliases)
        except TidegateError as error:
            yield _places([rollout]), error.message


def pause(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """Hold every weight of the release where it is; health is watched all the same.

    Returns a sentence. Raises ``NotAllowedNow`` when it is over, ``NotFound``.
    """
    _under_way(ports, release_id)
    paused = _pause_of(ports, release_id)
    if paused is None:
        paused = _wish(ports, operator, release_id, "pause", reason)
    answer_all(ports, release_id)
    on = command("resume", release_id)
    return f"{identify(paused.who)} paused {release_id}: its weights stay until `{on}`."


def resume(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """Let a paused release go on by its plan. Returns a sentence.

    Raises ``NotAllowedNow`` when it is not paused, or over, ``NotFound``.
    """
    _under_way(ports, release_id)
    if _pause_of(ports, release_id) is None:
        raise NotAllowedNow(
            f"{release_id} is not paused.", mend=f"`tidegate get {release_id}` shows what it does."
        )
    _wish(ports, operator, release_id, "pause", reason, active=False)
    answer_all(ports, release_id)
    return f"{operator} resumed {release_id}."


def promote(
    ports: Ports, operator: Operator, release_id: str, reason: str = "", *, full: bool = False
) -> str:
    """Go to the next step now; ``full``: to all traffic, without a bake, but not without a hook.

    It is for what shifts now, and counts once, however often it is said before the next look. An
    unhealthy candidate goes back all the same. Returns a sentence. Raises ``NotAllowedNow``.
    """
    where = _shifting(ports, release_id)
    _wish(ports, operator, release_id, "promote-full" if full else "promote", reason)
    answer_all(ports, release_id)
    to = "to all traffic" if full else "to the next step"
    return f"{operator} promoted {release_id} {to}: {_still(ports, where)}."


def set_weight(
    ports: Ports, operator: Operator, release_id: str, weight: float, reason: str = ""
) -> str:
    """Give the candidates that shift now this share, within what the plan gives them in the end.

    Returns a sentence. Raises ``NotAllowedNow`` for a weight that is not more than the present one,
    or more than the plan's greatest; ``NotFound``.
    """
    where = _shifting(ports, release_id)
    plan = plan_of(ports.ledger, release_id)
    low = max(rollout.weight for rollout in where)
    high = min(highest_weight(plan.stage(rollout.stage).strategy) for rollout in where)
    if not low < weight <= high:
        raise NotAllowedNow(
            f"The weight of {release_id} may be more than {write_share(low)} and "
            f"at most {write_share(high)}, not {write_share(weight)}.",
            mend=f"`{command('abort', release_id)}` takes all traffic back, "
            f"`{command('promote', release_id, full=True)}` gives all.",
        )
    _wish(ports, operator, release_id, "set-weight", reason, weight=weight)
    answer_all(ports, release_id)
    return f"{operator} set {release_id} to {write_share(weight)}: {_still(ports, where)}."


def retry(ports: Ports, operator: Operator, release_id: str, reason: str = "") -> str:
    """Release the artifact of a release once more that ended early: the same bytes, a new number.

    Returns a sentence. Raises ``NotAllowedNow`` when there is nothing to repeat, ``NotFound``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    if not release.phase.over or release.phase in {ReleasePhase.SUCCEEDED, ReleasePhase.STUCK}:
        raise NotAllowedNow(
            f"{release_id} is {release.phase}: there is nothing to repeat.",
            mend="Only what ended without success can be retried; unlock a stuck release first.",
        )
    record_deed(ports, operator, release_id, "retry", reason)
    execution = _start(ports, release, "retry", release.artifact)
    return f"{operator} retries {release_id}: {execution}"


def _start(ports: Ports, release: Release, verb: str, artifact: ArtifactRef) -> str:
    """The execution that does this: the one that runs, or a new one when all before are over.

    Its name is made of what is wished, and counted: whoever asks at the same time, or once more
    because an answer got lost, asks for the same execution.
    """
    wish = f"{release.id} {verb} {artifact.model_dump_json()}"
    name = f"{verb}-{release.number}-{sha256(wish.encode()).hexdigest()[:32]}"
    started = (ports.executions.start(artifact, f"{name}-{time}") for time in count(1))
    return next(filter(None, started))


def rollback(
    ports: Ports, operator: Operator, release_id: str, to: str = "", reason: str = ""
) -> str:
    """Release an earlier good artifact, through the same tests, approvals and steps.

    ``to`` names its release; "" is the last good one before this one that was something else. For
    a release that took only the traffic back, "" is the one that it went to: the stacks follow.
    Returns a sentence. Raises ``NotAllowedNow``, ``NotFound``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    if not release.phase.over:
        raise NotAllowedNow(
            f"{release_id} is under way: it is {release.phase}.",
            mend=f"`{command('abort', release_id)}` takes its traffic back.",
        )
    good = good_before(ports, release, to or (release.retreat.to if release.retreat else ""))
    record_deed(ports, operator, release_id, "rollback", reason)
    started = _start(ports, release, "rollback", good.artifact)
    return f"{operator} rolls {release.application} back to {good.id}: {started}"


def good_before(ports: Ports, release: Release, to: str) -> Release:
    """The good release that ``to`` names, or else the last one before with another artifact.

    One that traffic was taken back from is good no more. Raises ``NotAllowedNow``, ``NotFound``.
    """
    if to:
        wanted = release_of(ports.ledger, ref_named(to))
        if wanted.application != release.application or wanted.phase is not ReleasePhase.SUCCEEDED:
            raise NotAllowedNow(
                f"{to} is no good release of {release.application}: it is {wanted.phase}.",
                mend=f"`tidegate history {release.application}` shows the good ones.",
            )
        return wanted
    items = ports.ledger.query(
        application_partition(release.application), "RELEASE#", newest_first=True
    )
    left: set[str] = set()  # by the retreats that came after
    for item in [item for item in items if isinstance(item, Release)]:
        left.add(item.left)
        if (
            item.id not in left
            and item.number < release.number
            and item.phase is ReleasePhase.SUCCEEDED
            and item.artifact.digest != release.artifact.digest
        ):
            return item
    raise NotAllowedNow(
        f"No release before {release.id} has succeeded with another artifact.",
        mend="Name one with --to, or release the artifact of an earlier commit.",
    )


def unlock(
    ports: Ports, operator: Operator, release_id: str, confirmation: str, reason: str = ""
) -> str:
    """Free the lock of a stuck release: a person has looked, and vouches for the traffic.

    ``confirmation`` is the release's name, typed. Returns a sentence. Raises ``NotAllowedNow``.
    """
    release = release_of(ports.ledger, ref_named(release_id))
    if release.phase is not ReleasePhase.STUCK:
        raise NotAllowedNow(
            f"{release_id} is not stuck: it is {release.phase}.",
            mend=f"`{command('abort', release_id)}` ends it while it is under way; "
            "what is over has no lock.",
        )
    if confirmation != release_id:
        raise NotAllowedNow(
            f"The confirmation is {confirmation!r}, not {release_id!r}.",
            mend="Type the name of the release whose traffic you have looked at.",
        )
    if not reason.strip():
        raise NotAllowedNow(
            "To unlock needs a reason.", mend="Say what you found and what you did about it."
        )
    record_deed(ports, operator, release_id, "unlock", reason)
    free_lock(ports, ref_named(release_id))
    said = f"{operator} unlocked {release_id}: {reason.strip()}"
    ended = {"phase": ReleasePhase.ABORTED, "cause": f"{release.cause} {said}".strip()}
    tell_release(ports.bus, ports.ledger.put(release.model_copy(update=ended)))
    return f"{said} The lock of {release.application} is free; traffic was left as it is."


@dataclass(frozen=True, slots=True)
class _Say:
    """What a person says to a request."""

    approve: bool
    reason: str


def _vote(ports: Ports, operator: Operator, approval: Approval, say: _Say) -> Approval:
    """The approval with the vote in it; whoever says the same again only has it carried out."""
    if not _has_said(approval, operator, say):
        now = ports.clock.now()
        vote = Vote(
            who=operator.who,
            approve=say.approve,
            reason=say.reason.strip(),
            at=now,
            source=operator.source,
            proof=operator.proof,
        )
        seal = ports.seals.seal(approvals.testimony(approval, vote))
        vote = vote.model_copy(update={"seal": seal})
        approval = ports.ledger.put(approvals.vote(approval, vote, now))
        if approval.decision is not Decision.PENDING:
            tell_approval_decided(ports.bus, ref_named(approval.release_id), approval)
    answer_approval(ports, approval.release_id, approval.stage)
    return approval


def _has_said(approval: Approval, operator: Operator, say: _Say) -> bool:
    return approval.decision is not Decision.EXPIRED and any(
        v.who == operator.who and v.approve is say.approve for v in approval.votes
    )


def _asked(ports: Ports, release_id: str, stage: str) -> Approval:
    """The request for this stage, or else the latest one of the release."""
    release = release_of(ports.ledger, ref_named(release_id))
    items = ports.ledger.query(release_partition(release_id), f"APPROVAL#{stage}")
    asked = [a for a in items if isinstance(a, Approval) and stage in {"", a.stage}]
    _refuse_ended(ports, release_id, asked)
    if not asked and release.phase.over:
        _refuse_over(release)
    if not asked:
        of = f"stage {stage} of {release_id}" if stage else release_id
        raise NotAllowedNow(
            f"Nobody is asked to approve {of}.",
            mend=f"`tidegate get {release_id}` shows what it waits for.",
        )
    return max(asked, key=lambda approval: approval.requested_at)


def _refuse_ended(ports: Ports, release_id: str, asked: Iterable[Approval]) -> None:
    """Raises ``NotAllowedNow`` with who ended the release, whatever is still shown to people.

    What waits hears of it once more: whoever ended it may not have come so far.
    """
    try:
        heed_wishes(ports, release_id)
        if any(approval.decision is Decision.PENDING for approval in asked):
            heed_newer(ports, release_id)
    except ReleaseStopped as stopped:
        answer_all(ports, release_id)
        raise NotAllowedNow(
            f"{stopped.message} Nobody is asked to approve it any more.",
            mend=f"`{command('retry', release_id)}` releases it again.",
        ) from stopped


def ref_named(release_id: str) -> ReleaseRef:
    """The reference behind the name that people use. Raises ``NotFound``."""
    application, _, number = release_id.rpartition("-")
    if not application or not number.isdecimal():
        raise NotFound(
            f"{release_id} is not the name of a release.",
            mend="They look like shop-418; `tidegate list` shows them.",
        )
    return ReleaseRef(id=release_id, application=application, number=int(number))


def _refuse_over(release: Release) -> None:
    raise NotAllowedNow(
        f"{release.id} is over: it is {release.phase}.",
        mend="`tidegate list` shows what is under way.",
    )


def _under_way(ports: Ports, release_id: str) -> Release:
    """The release. Raises ``NotAllowedNow`` when it is over, or stuck."""
    release = release_of(ports.ledger, ref_named(release_id))
    if release.phase is ReleasePhase.STUCK:
        raise NotAllowedNow(
            f"{release.id} is stuck: {release.cause}",
            mend=f"Set its traffic right, then `{command('unlock', release.id)}`.",
        )
    if release.phase.over:
        _refuse_over(release)
    return release


def _shifting(ports: Ports, release_id: str) -> list[Rollout]:
    """The rollouts that shift now. Raises ``NotAllowedNow`` when none does."""
    release = _under_way(ports, release_id)
    if wish := abort_wish(ports, release_id):
        raise NotAllowedNow(
            f"{abort_cause(wish)} It goes back.",
            mend=f"`tidegate get {release_id}` shows what it does.",
        )
    rollouts = rollouts_of(ports.ledger, release_id)
    shifting = [rollout for rollout in rollouts if rollout.phase is RolloutPhase.SHIFTING]
    if not shifting:
        raise NotAllowedNow(
            f"No traffic of {release_id} is being shifted; it is {release.phase}.",
            mend=f"`tidegate get {release_id}` shows what it does.",
        )
    return shifting


def _still(ports: Ports, where: Sequence[Rollout]) -> str:
    """The places, each with what has become of it if it does not shift any more."""
    now = {_places([one]): one for one in rollouts_of(ports.ledger, where[0].release_id)}
    return ", ".join(
        place if now[place].phase is one.phase else f"{place} is {now[place].phase} by now"
        for one in where
        for place in [_places([one])]
    )


def _places(rollouts: Iterable[Rollout]) -> str:
    return ", ".join(f"{rollout.stage} {rollout.target}" for rollout in rollouts)


def _pause_of(ports: Ports, release_id: str) -> Wish | None:
    wish = find(ports.ledger, Wish, release_id=release_id, verb="pause")
    return wish if wish and wish.active else None


def _wish(
    ports: Ports,
    operator: Operator,
    release_id: str,
    verb: str,
    reason: str,
    *,
    active: bool = True,
    weight: float = 0.0,
) -> Wish:
    record_deed(ports, operator, release_id, verb if active else "resume", reason)
    return put_over(
        ports.ledger,
        Wish(
            release_id=release_id,
            verb=verb,
            who=operator.who,
            reason=reason.strip(),
            at=ports.clock.now(),
            active=active,
            weight=weight,
        ),
    )


def record_deed(ports: Ports, operator: Operator, release_id: str, verb: str, reason: str) -> None:
    """Keep and tell who asked what, and why."""
    deed = Deed(
        release_id=release_id,
        verb=verb,
        who=operator.who,
        source=operator.source,
        reason=reason.strip(),
        at=ports.clock.now(),
    )
    put_over(ports.ledger, deed)
    tell_operator(ports.bus, deed)
