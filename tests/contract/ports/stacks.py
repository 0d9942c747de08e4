"""What every way to CloudFormation does.

A subclass gives the fixtures ``stacks``, ``specify`` (code -> ``StackSpec`` of one stack whose
template has a function ``Hello`` with that code) and ``wait`` (called between two polls).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidegate.core.errors import ChangeSetStale
from tidegate.core.ports import Change, ChangeSet, Stacks, StackSpec, StackState

Specify = Callable[[str], StackSpec]
Wait = Callable[[], None]
POLLS = 4_800
"""Minutes, where the embedded AWS is waited for: only what hangs takes so long."""


class StacksContract:
    def previewed(self, stacks: Stacks, spec: StackSpec, token: str, wait: Wait) -> ChangeSet:
        for _ in range(POLLS):
            change_set = stacks.preview(spec, token)
            if change_set is not None:
                return change_set
            wait()
        raise AssertionError(f"no change set after {POLLS} polls")

    def settled(self, stacks: Stacks, name: str, wait: Wait) -> StackState:
        for _ in range(POLLS):
            state = stacks.state(name)
            if not state.busy:
                return state
            wait()
        raise AssertionError(f"still busy after {POLLS} polls")

    def create(self, stacks: Stacks, spec: StackSpec, wait: Wait) -> StackState:
        made = self.previewed(stacks, spec, "create", wait)
        stacks.execute(made.id, "execute-create")
        return self.settled(stacks, spec.stack_name, wait)

    def test_knows_no_stack_before_the_first(self, stacks: Stacks, specify: Specify) -> None:
        assert not stacks.state(specify("one").stack_name).exists

    def test_previews_and_creates_a_first_deployment(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        spec = specify("one")
        made = self.previewed(stacks, spec, "create", wait)
        assert made.first_deployment
        assert ("Hello", Change.ADD) in {(c.logical_id, c.change) for c in made.changes}
        stacks.execute(made.id, "execute")
        state = self.settled(stacks, spec.stack_name, wait)
        assert state.status == "CREATE_COMPLETE"
        assert state.parameters.items() >= spec.parameters.items()
        assert state.resources["Hello"]

    def test_previews_a_change_and_executes_it(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        made = self.previewed(stacks, specify("two"), "change", wait)
        assert not made.first_deployment
        assert ("Hello", Change.MODIFY) in {(c.logical_id, c.change) for c in made.changes}
        stacks.execute(made.id, "execute")
        assert self.settled(stacks, made.stack_name, wait).status == "UPDATE_COMPLETE"

    def test_gives_the_same_change_set_for_the_same_token(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        made = self.previewed(stacks, specify("one"), "create", wait)
        assert self.previewed(stacks, specify("one"), "create", wait) == made

    def test_finds_nothing_to_change(self, stacks: Stacks, specify: Specify, wait: Wait) -> None:
        self.create(stacks, specify("one"), wait)
        assert self.previewed(stacks, specify("one"), "again", wait).changes == ()

    def test_executes_a_change_set_once_however_often_it_is_asked(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        made = self.previewed(stacks, specify("one"), "create", wait)
        stacks.execute(made.id, "execute")
        stacks.execute(made.id, "execute")
        assert self.settled(stacks, made.stack_name, wait).status == "CREATE_COMPLETE"

    def test_refuses_a_change_set_after_the_stack_changed(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        stale = self.previewed(stacks, specify("two"), "stale", wait)
        stacks.update(specify("three"), "meanwhile")
        self.settled(stacks, stale.stack_name, wait)
        with pytest.raises(ChangeSetStale):
            stacks.execute(stale.id, "execute")

    def test_updates_and_says_when_there_is_nothing_to_update(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        assert stacks.update(specify("two"), "update")
        assert self.settled(stacks, specify("two").stack_name, wait).status == "UPDATE_COMPLETE"
        assert not stacks.update(specify("two"), "once-more")

    def test_deletes_a_stack_and_does_not_mind_that_it_is_gone(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        name = specify("one").stack_name
        self.create(stacks, specify("one"), wait)
        stacks.delete(name, "delete")
        assert not self.settled(stacks, name, wait).exists
        stacks.delete(name, "delete-again")

    def test_tells_what_an_operation_did_in_order(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        state = self.create(stacks, specify("one"), wait)
        name = specify("one").stack_name
        events = stacks.events(name, "execute-create")
        own = [event for event in events if event.of_stack]
        assert own[0].status == "CREATE_IN_PROGRESS"
        assert (own[-1].logical_id, own[-1].status) == (name, state.status)
        hello = [event.status for event in events if event.logical_id == "Hello"]
        assert (hello[0], hello[-1]) == ("CREATE_IN_PROGRESS", "CREATE_COMPLETE")
        assert [event.at for event in events] == sorted(event.at for event in events)

    def test_goes_on_from_an_event_that_was_seen(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        name = specify("one").stack_name
        events = stacks.events(name, "execute-create")
        assert stacks.events(name, "execute-create", events[1].id) == events[2:]
        assert stacks.events(name, "execute-create", events[-1].id) == []

    def test_tells_of_one_operation_only(
        self, stacks: Stacks, specify: Specify, wait: Wait
    ) -> None:
        self.create(stacks, specify("one"), wait)
        name = specify("one").stack_name
        assert stacks.update(specify("two"), "update")
        self.settled(stacks, name, wait)
        assert stacks.events(name, "update")[0].status == "UPDATE_IN_PROGRESS"
        assert stacks.events(name, "never-begun") == []

    def test_a_stack_that_never_was_has_no_events(self, stacks: Stacks, specify: Specify) -> None:
        assert stacks.events(specify("one").stack_name, "delete") == []
