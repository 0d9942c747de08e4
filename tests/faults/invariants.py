"""The invariants, as a witness sees them: some hold at every call, the others at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from support.story import Story
from tidegate.core.model.plan import ReleasePlan
from tidegate.core.model.record import (
    Approval,
    Decision,
    HookRun,
    Live,
    Lock,
    Outcome,
    Plan,
    Release,
    ReleasePhase,
    Rollout,
    RolloutPhase,
    Shift,
    application_partition,
    release_partition,
)
from tidegate.core.ports import AliasRef, AliasState
from tidegate.core.workflow.records import find
from tidegate.core.workflow.stage.approval import bound_now

# What a restore of traffic may use: the record and the aliases themselves.
_NEEDED_TO_RESTORE = {
    "aliases.read",
    "aliases.write",
    "bus.publish",
    "executions.status",  # the guardian asks whether anybody else does it
    "callbacks.fail",  # who could not put all of it back hands it to the rollout's machine
    "ledger.get",
    "ledger.put",
    "ledger.query",
    "targets.open",
}


class Witness:
    """Watches a story, and writes down each invariant that it sees broken.

    Create it when what is live is good: the versions that serve then are proven.
    """

    def __init__(self, story: Story, targets: Sequence[str]) -> None:
        self.story = story
        self.targets = targets
        self.broken: list[str] = []
        self.alone = True  # nobody else makes calls while a rollout restores
        self.by_hand = False  # a person changes aliases: none of the controller's doing
        self._proven = {
            (target, ref, state.version)
            for target in targets
            for ref, state in story.at(target).aliases.all().items()
        }
        self._before = {target: story.at(target).aliases.all() for target in targets}
        self._fence = 0
        for target in targets:
            story.at(target).aliases.on_change = self._watcher(target)

    # ------------------------------------------------------------------ while it runs

    def _watcher(self, target: str) -> Any:
        def changed(ref: AliasRef, before: AliasState | None, after: AliasState) -> None:
            if before is not None and not self.by_hand:
                self._traffic_goes_only_where_hooks_passed(target, ref, after)
                self._split_only_by_the_owner_of_the_lock(target, ref, after)
                self._traffic_meets_no_cold_candidate(target, ref, before, after)

        return changed

    def hear(self, name: str, args: tuple[Any, ...]) -> None:
        """Hear of a call before it is made."""
        if name == "ledger.put":
            self._lock_passes_only_upwards()
        if self.alone and name not in _NEEDED_TO_RESTORE and self._restoring_traffic():
            self._say(7, f"{name} is called before traffic is back")

    def _traffic_goes_only_where_hooks_passed(
        self, target: str, ref: AliasRef, after: AliasState
    ) -> None:
        for version in {after.version, *after.routes}:
            if (target, ref, version) in self._proven:
                continue
            if any(self._passed(rollout) for rollout in self._leading_to(target, ref, version)):
                self._proven.add((target, ref, version))
            else:
                self._say(1, f"{ref.function} gets version {version} before its hooks have passed")

    def _split_only_by_the_owner_of_the_lock(
        self, target: str, ref: AliasRef, after: AliasState
    ) -> None:
        if not after.routes:
            return
        lock = self._lock()
        owners = [
            rollout
            for version in after.routes
            for rollout in self._leading_to(target, ref, version)
            if rollout.phase in {RolloutPhase.SHIFTING, RolloutPhase.RESTORING}
            and lock.owner
            and rollout.release_id == f"{lock.application}-{lock.release_number}"
        ]
        if not owners:
            self._say(2, f"{ref.function} is split by a release that does not own the lock")

    def _traffic_meets_no_cold_candidate(
        self, target: str, ref: AliasRef, before: AliasState, after: AliasState
    ) -> None:
        has = self.story.at(target).capacity.asked(ref.function)
        for version in {after.version, *after.routes} - {before.version, *before.routes}:
            for rollout in self._leading_to(target, ref, version):
                for warm in rollout.warms:
                    cold = warm.candidate == version and has.get(version, 0) < warm.wanted
                    if warm.function == ref.function and cold:
                        self._say(8, f"{ref.function} gets version {version} before it is warm")

    def _lock_passes_only_upwards(self) -> None:
        fence = self._lock().fence
        if fence < self._fence:
            self._say(2, f"the lock's fence fell from {self._fence} to {fence}")
        self._fence = fence

    def _restoring_traffic(self) -> bool:
        return any(
            rollout.phase is RolloutPhase.RESTORING and rollout.left_weight > 0.0
            for rollout in self._rollouts()
        )

    # ------------------------------------------------------------------ when all is over

    def judge(self) -> list[str]:
        """Everything that is broken, now that all has ended."""
        for release in self._releases():
            self._ended(release)
        for target in self.targets:
            self._all_on_one_release(target)
            self._live_says_what_serves(target)
        self._same_bytes_everywhere()
        self._approvals_are_good()
        return self.broken

    @property
    def stuck(self) -> bool:
        """A release says that a person must look: in the record, or by holding on to the lock."""
        return bool(self._lock().owner) or any(map(self._said_stuck, self._releases()))

    def _said_stuck(self, release: Release) -> bool:
        told = (release.id, ReleasePhase.STUCK) in self.story.events("Release State Change")
        return told or release.phase is ReleasePhase.STUCK

    def _ended(self, release: Release) -> None:
        """Every rollout is over, and its aliases are where its phase says; or it is stuck."""
        if release.phase is ReleasePhase.STUCK:
            if (release.id, ReleasePhase.STUCK) not in self.story.events("Release State Change"):
                self._say(3, f"{release.id} is stuck, and no event says so")
            if not self._lock().owner:
                self._say(3, f"{release.id} is stuck, and the lock is free")
            return
        if self._said_stuck(release):
            return  # and an operator has resolved it
        if not release.phase.over:
            if self._lock().release_number != release.number or not self._lock().owner:
                self._say(3, f"{release.id} is {release.phase} for ever, and the lock is free")
            return
        for rollout in self._rollouts(release):
            if not rollout.phase.over or rollout.phase is RolloutPhase.STUCK:
                self._say(3, f"{release.id} is {release.phase}, its rollout {rollout.phase}")
        if release.phase is ReleasePhase.SUCCEEDED and any(
            rollout.phase is not RolloutPhase.SUCCEEDED for rollout in self._rollouts(release)
        ):
            self._say(3, f"{release.id} succeeded, a rollout of it did not")
        if self._lock().owner and self._lock().release_number == release.number:
            self._say(3, f"{release.id} is over and keeps the lock")

    def _all_on_one_release(self, target: str) -> None:
        """What serves is what the newest rollout of the target says, on every alias."""
        if self.stuck:
            return
        aliases = self.story.at(target).aliases.all()
        for ref, state in aliases.items():
            if state.routes:
                self._say(2, f"{ref.function} is left split: {dict(state.routes)}")
        expected = {ref: state.version for ref, state in self._before[target].items()}
        for rollout in self._rollouts():
            if rollout.target == target and rollout.phase is RolloutPhase.SUCCEEDED:
                expected |= {_alias(shift): shift.candidate for shift in rollout.shifts}
        for ref, version in expected.items():
            if ref in aliases and aliases[ref].version != version:
                found = aliases[ref].version
                self._say(4, f"{ref.function} serves version {found}, should be {version}")

    def _live_says_what_serves(self, target: str) -> None:
        if self.stuck:
            return
        for live in self._lives():
            if live.target == target:
                serves = {
                    f"{ref.function}:{ref.alias}": state.version
                    for ref, state in self.story.at(target).aliases.all().items()
                }
                if live.versions != serves:
                    self._say(3, f"{target} serves {serves}, the record says {live.versions}")

    def _same_bytes_everywhere(self) -> None:
        """The code that a release brought is the same wherever it was published."""
        code: dict[tuple[str, str], set[str]] = {}
        for rollout in self._rollouts():
            functions = self.story.at(rollout.target).functions
            for shift in rollout.shifts:
                name = shift.function.removeprefix(f"hello-{rollout.stage}-")
                published = functions.published(shift.function, shift.candidate)
                code.setdefault((rollout.release_id, name), set()).add(str(published["CodeSha256"]))
        for (release, function), codes in code.items():
            if len(codes) > 1:
                self._say(5, f"{function} of {release} is {' and '.join(sorted(codes))}")
        digests: dict[str, set[str]] = {}
        for live in self._lives():
            digests.setdefault(live.release_id, set()).add(live.artifact.digest)
        for release, some in digests.items():
            if len(some) > 1:
                self._say(5, f"{release} is live from {len(some)} artifacts")

    def _approvals_are_good(self) -> None:
        for release in self._releases():
            plan = self._plan(release)
            for stage in plan.stages if plan else ():
                if stage.approval is None:
                    continue
                deployed = [r for r in self._rollouts(release) if r.stage == stage.name]
                approval = find(
                    self.story.world.ledger, Approval, release_id=release.id, stage=stage.name
                )
                if deployed and (approval is None or approval.decision is not Decision.APPROVED):
                    self._say(6, f"{stage.name} of {release.id} began without an approval")
                if approval:
                    self._votes_are_good(release, approval, plan)

    def _votes_are_good(
        self, release: Release, approval: Approval, plan: ReleasePlan | None
    ) -> None:
        who = [vote.who for vote in approval.votes]
        if len(who) != len(set(who)):
            self._say(6, f"somebody voted twice on {release.id}: {who}")
        if any(vote.at > approval.deadline for vote in approval.votes):
            self._say(6, f"somebody voted late on {release.id}")
        yes = sum(vote.approve for vote in approval.votes)
        if approval.decision is Decision.APPROVED and yes < approval.approvers:
            self._say(6, f"{release.id} was approved by {yes} of {approval.approvers}")
        if plan and approval.digest != bound_now(self.story.ports, plan, approval.stage):
            self._say(6, f"{release.id} shows something else than was approved")

    # ------------------------------------------------------------------ what it looks at

    def _say(self, number: int, what: str) -> None:
        self.broken.append(f"invariant {number}: {what}")

    def _lock(self) -> Lock:
        return find(self.story.world.ledger, Lock, application="hello") or Lock(application="hello")

    def _releases(self) -> list[Release]:
        items = self.story.world.ledger.query(application_partition("hello"), "RELEASE#")
        return [item for item in items if isinstance(item, Release)]

    def _lives(self) -> list[Live]:
        items = self.story.world.ledger.query(application_partition("hello"), "LIVE#")
        return [item for item in items if isinstance(item, Live)]

    def _plan(self, release: Release) -> ReleasePlan | None:
        item = self.story.world.ledger.get(Plan, release_partition(release.id), "PLAN")
        return item.plan if item else None

    def _rollouts(self, *releases: Release) -> list[Rollout]:
        return [
            item
            for release in releases or self._releases()
            for item in self.story.items(release.number, "ROLLOUT#")
            if isinstance(item, Rollout)
        ]

    def _leading_to(self, target: str, ref: AliasRef, version: str) -> Iterator[Rollout]:
        for rollout in self._rollouts():
            if rollout.target == target and any(
                _alias(shift) == ref and shift.candidate == version for shift in rollout.shifts
            ):
                yield rollout

    def _passed(self, rollout: Rollout) -> bool:
        plan = self.story.world.ledger.get(Plan, release_partition(rollout.release_id), "PLAN")
        assert plan
        hooks = plan.plan.stage(rollout.stage).pre_traffic
        runs = [
            find(
                self.story.world.ledger,
                HookRun,
                release_id=rollout.release_id,
                stage=rollout.stage,
                target=rollout.target,
                when="pre-traffic",
                function=hook.function,
            )
            for hook in hooks
        ]
        return all(run is not None and run.outcome is Outcome.PASSED for run in runs)


def _alias(shift: Shift) -> AliasRef:
    return AliasRef(shift.function, shift.alias)
