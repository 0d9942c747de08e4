"""What every way to seal does. A subclass gives the fixture ``seals``."""

from __future__ import annotations

import base64

import pytest

from tidegate.core.ports import Seals


class SealsContract:
    def test_a_seal_holds_for_its_text(self, seals: Seals) -> None:
        assert seals.holds("yes", seals.seal("yes"))

    def test_a_seal_holds_for_no_other_text(self, seals: Seals) -> None:
        assert not seals.holds("no", seals.seal("yes"))

    @pytest.mark.parametrize("seal", ["", "no seal", base64.b64encode(bytes(32)).decode(), "ä"])
    def test_what_is_no_seal_does_not_hold(self, seals: Seals, seal: str) -> None:
        assert not seals.holds("yes", seal)
