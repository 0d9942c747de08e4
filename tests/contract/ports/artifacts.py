"""What every store of artifacts does.

A subclass gives the fixtures ``artifacts`` and ``stored``: bucket and key of the object ``built``.
"""

from __future__ import annotations

import pytest

from tidegate.core.errors import ArtifactError
from tidegate.core.ports import Artifacts


class ArtifactsContract:
    def test_reads_what_was_stored(self, artifacts: Artifacts, stored: tuple[str, str]) -> None:
        assert artifacts.read(*stored) == b"built"

    def test_names_the_object_that_is_not_there(
        self, artifacts: Artifacts, stored: tuple[str, str]
    ) -> None:
        with pytest.raises(ArtifactError, match=f"s3://{stored[0]}/no/such/key"):
            artifacts.read(stored[0], "no/such/key")
