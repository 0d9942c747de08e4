"""Every error that Tidegate raises on purpose.

The class names are public: Step Functions matches them as ``ErrorEquals``, the record stores them,
and the command line maps them to exit codes.

::

    TidegateError
    ├── InputError                 exit code 2: nothing was started
    │   ├── ManifestError
    │   ├── TemplateError
    │   ├── ArtifactError
    │   └── NotAllowedNow
    ├── NotFound
    ├── ServiceRefused             a permission or a setting is missing
    ├── Transient                  worth a retry; nothing is wrong yet
    │   ├── RecordConflict
    │   ├── AliasConflict
    │   ├── StackBusy
    │   └── ServiceUnavailable
    ├── ReleaseStopped             the release ends here, by design
    │   ├── TestsFailed
    │   ├── Superseded
    │   ├── Locked
    │   ├── Aborted
    │   ├── ApprovalRejected
    │   ├── ApprovalExpired
    │   ├── ApprovalVoid
    │   ├── ChangeSetFailed
    │   ├── ChangeSetStale
    │   ├── ChangeIrreversible
    │   ├── AlarmsFiring
    │   ├── NotCanaryable
    │   ├── StackFailed
    │   ├── CodeMismatch
    │   ├── WarmUpFailed
    │   ├── HookFailed
    │   ├── Unhealthy
    │   └── TookTooLong
    └── NeedsOperator              a person must look
        ├── AliasChangedByOthers
        ├── LockLost
        ├── RestoreFailed
        └── FinishFailed
"""
# ruff: noqa: N818  # the names are public: they say what happened, `Error` would say nothing more

from __future__ import annotations

from collections.abc import Sequence


class TidegateError(Exception):
    """Root of the tree: the message names the cause, ``mend`` what to do about it."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    @property
    def lines(self) -> tuple[str, ...]:
        """The message as it is printed."""
        return (str(self),)


class InputError(TidegateError):
    """What was given cannot be used as it is."""


class ManifestError(InputError):
    """The manifest does not say what a manifest must say.

    ``path`` is the file, ``line`` the 1-based line of the offending key, ``key`` its dotted path,
    ``others`` what else is wrong with it.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "tidegate.yaml",
        line: int = 0,
        key: str = "",
        remedy: str = "",
        others: Sequence[ManifestError] = (),
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.path = path
        self.line = line
        self.key = key
        self.others = tuple(others)

    @classmethod
    def first_of(cls, errors: Sequence[ManifestError]) -> ManifestError:
        """The first of these errors, which lists all others after its own message."""
        first, *others = errors
        return cls(
            first.message,
            path=first.path,
            line=first.line,
            key=first.key,
            remedy=first.remedy,
            others=others,
        )

    def __str__(self) -> str:
        return "\n".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each of the errors."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        subject = f"{place}: {self.key}: " if self.key else f"{place}: "
        more = (line for other in self.others for line in other.lines)
        return (f"{subject}{super().__str__()}", *more)


class TemplateError(InputError):
    """The application's template is missing or cannot be taken over."""


class ArtifactError(InputError):
    """An artifact is missing, or its bytes are not those that its digest names."""


class NotAllowedNow(InputError):
    """An operator asked for what makes no sense in this phase, or is not theirs to decide."""


class NotFound(TidegateError):
    """No such release, stage, function or alias."""


class ServiceRefused(TidegateError):
    """An AWS service refused a call that Tidegate makes, and would refuse it again."""


class Transient(TidegateError):
    """A call that may succeed when repeated."""


class RecordConflict(Transient):
    """Another writer changed the record between our read and our write."""


class AliasConflict(Transient):
    """The alias's revision is not the one that we read."""


class StackBusy(Transient):
    """CloudFormation is working on the stack for somebody else."""


class ServiceUnavailable(Transient):
    """An AWS service did not answer, or asked us to slow down, after all retries of the client."""


class ReleaseStopped(TidegateError):
    """The release ends without reaching its last stage, as it is meant to in this case."""


class TestsFailed(ReleaseStopped):
    """One or more test tasks did not succeed."""

    __test__ = False


class Superseded(ReleaseStopped):
    """A newer release took this one's place in the queue."""


class Locked(ReleaseStopped):
    """Another release of the application is under way, and the manifest does not want to wait."""


class Aborted(ReleaseStopped):
    """An operator aborted the release."""


class ApprovalRejected(ReleaseStopped):
    """A person rejected the stage."""


class ApprovalExpired(ReleaseStopped):
    """Nobody decided in time."""


class ApprovalVoid(ReleaseStopped):
    """What would be deployed is no longer what was approved."""


class ChangeSetFailed(ReleaseStopped):
    """CloudFormation could not compute the change set."""


class ChangeSetStale(ReleaseStopped):
    """The stack changed after the change set was made."""


class ChangeIrreversible(ReleaseStopped):
    """The deployment would remove or replace what holds data, and the manifest forbids it."""


class AlarmsFiring(ReleaseStopped):
    """Alarms fire before the candidate has any traffic, and the manifest refuses to begin then."""


class NotCanaryable(ReleaseStopped):
    """A weighted alias cannot serve both versions, and the manifest refuses to go all at once."""


class StackFailed(ReleaseStopped):
    """The stack's update failed and CloudFormation took it back."""


class CodeMismatch(ReleaseStopped):
    """A function was deployed with other bytes than the artifact names, or than a stage before."""


class WarmUpFailed(ReleaseStopped):
    """Provisioned concurrency could not be allocated, or a version did not become active."""


class HookFailed(ReleaseStopped):
    """A validation hook failed, raised, timed out or crashed."""


class Unhealthy(ReleaseStopped):
    """The candidate is worse than stable, an alarm fired, or too few requests came to tell."""


class TookTooLong(ReleaseStopped):
    """A queue, a stack or a shift did not end within its bound. The state machines say so."""


class NeedsOperator(TidegateError):
    """Tidegate will not guess: a person must look."""


class AliasChangedByOthers(NeedsOperator):
    """The alias is neither what we left nor what we were about to write."""


class LockLost(NeedsOperator):
    """The release no longer owns the application's lock."""


class RestoreFailed(NeedsOperator):
    """Traffic could not be put back on the stable version after all retries.

    ``aliases`` has a sentence for each that is not where it should be.
    """

    def __init__(self, message: str, *, remedy: str = "", aliases: Sequence[str] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.aliases = tuple(aliases)


class FinishFailed(NeedsOperator):
    """The validated candidate has all traffic, but the pin could not be taken off its stack."""
