"""What every way to the aliases does.

A subclass gives the fixtures ``aliases`` and ``alias``: the name of an alias that serves version 1
of a function with versions 1 and 2.
"""

from __future__ import annotations

import pytest

from tidegate.core.errors import AliasConflict, NotFound
from tidegate.core.ports import Aliases, AliasRef


class AliasesContract:
    def test_reads_the_version_that_gets_all_traffic(
        self, aliases: Aliases, alias: AliasRef
    ) -> None:
        state = aliases.read(alias)
        assert (state.version, dict(state.routes)) == ("1", {})
        assert state.revision

    def test_says_when_there_is_no_such_alias(self, aliases: Aliases, alias: AliasRef) -> None:
        with pytest.raises(NotFound):
            aliases.read(AliasRef(alias.function, "nothing"))

    def test_writes_a_weight_and_tells_the_new_state(
        self, aliases: Aliases, alias: AliasRef
    ) -> None:
        before = aliases.read(alias)
        written = aliases.write(
            alias, version="1", routes={"2": 0.1}, expected_revision=before.revision
        )
        assert (written.version, dict(written.routes)) == ("1", {"2": 0.1})
        assert written.revision != before.revision
        assert aliases.read(alias) == written

    def test_promotes_in_one_call(self, aliases: Aliases, alias: AliasRef) -> None:
        before = aliases.read(alias)
        split = aliases.write(
            alias, version="1", routes={"2": 0.5}, expected_revision=before.revision
        )
        aliases.write(alias, version="2", routes={}, expected_revision=split.revision)
        after = aliases.read(alias)
        assert (after.version, dict(after.routes)) == ("2", {})

    def test_clears_the_weights_and_keeps_the_version(
        self, aliases: Aliases, alias: AliasRef
    ) -> None:
        before = aliases.read(alias)
        split = aliases.write(
            alias, version="1", routes={"2": 0.5}, expected_revision=before.revision
        )
        after = aliases.write(alias, version="1", routes={}, expected_revision=split.revision)
        assert (after.version, dict(after.routes)) == ("1", {})

    def test_refuses_a_write_when_the_alias_moved_since_it_was_read(
        self, aliases: Aliases, alias: AliasRef
    ) -> None:
        before = aliases.read(alias)
        moved = aliases.write(
            alias, version="1", routes={"2": 0.1}, expected_revision=before.revision
        )
        with pytest.raises(AliasConflict):
            aliases.write(alias, version="2", routes={}, expected_revision=before.revision)
        assert aliases.read(alias) == moved
