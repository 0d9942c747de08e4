"""Where a release, a stage, a rollout, a test or a hook is."""

from __future__ import annotations

from enum import StrEnum


class ReleasePhase(StrEnum):
    """Where a release is."""

    QUEUED = "queued"  # another release of the application holds the lock
    TESTING = "testing"  # the test tasks run; nothing is deployed
    PROGRESSING = "progressing"  # at a stage
    SUCCEEDED = "succeeded"  # live in every stage
    FAILED = "failed"  # ended without reaching every stage; what was live before is live
    REJECTED = "rejected"  # a person said no, or nobody said yes in time
    ABORTED = "aborted"  # an operator ended it
    SUPERSEDED = "superseded"  # a newer release took its place in the queue
    STUCK = "stuck"  # traffic could not be made safe: a person must look

    @property
    def over(self) -> bool:
        """The release will not move by itself any more."""
        return self not in _RELEASE_UNDER_WAY


_RELEASE_UNDER_WAY = {ReleasePhase.QUEUED, ReleasePhase.TESTING, ReleasePhase.PROGRESSING}


class StagePhase(StrEnum):
    """Where a stage is."""

    PREVIEWING = "previewing"  # change sets are being computed
    AWAITING_APPROVAL = "awaiting-approval"  # a task token waits for people
    ROLLING_OUT = "rolling-out"  # one or more rollouts run
    SUCCEEDED = "succeeded"  # every target serves the release
    FAILED = "failed"  # ended; every target serves what it served before, or says that it is stuck


class RolloutPhase(StrEnum):
    """Where one stack's rollout is."""

    DEPLOYING = "deploying"  # CloudFormation runs; the live alias is pinned
    VALIDATING = "validating"  # pre-traffic hooks run against the candidate; it has no traffic
    SHIFTING = "shifting"  # the candidate has a weight, or is about to get its first
    VERIFYING = "verifying"  # the candidate has all traffic; post-traffic hooks run
    FINISHING = "finishing"  # the pin is being taken off the stack
    SUCCEEDED = "succeeded"  # the candidate is the stable version
    RESTORING = "restoring"  # traffic goes back, then the stack
    RESTORED = "restored"  # the stable version has all traffic and the stack is as it was
    STUCK = "stuck"  # traffic could not be put back

    @property
    def over(self) -> bool:
        """The rollout will not move by itself any more."""
        return self in {RolloutPhase.SUCCEEDED, RolloutPhase.RESTORED, RolloutPhase.STUCK}


class Outcome(StrEnum):
    """How a test or a hook stands."""

    RUNNING = "running"
    WAITING = "waiting"  # a hook said that it answers later
    PASSED = "passed"
    FAILED = "failed"
