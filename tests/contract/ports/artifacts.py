"""What every store of artifacts does.

A subclass gives the fixtures ``artifacts``, ``stored``: bucket and key of the object ``built``, and
``overwrite``, which stores something there and returns its version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from tidegate.core.errors import ArtifactError
from tidegate.core.ports import Artifacts

Overwrite = Callable[[bytes], str]


class ArtifactsContract:
    def test_reads_what_was_stored(self, artifacts: Artifacts, stored: tuple[str, str]) -> None:
        assert artifacts.read(*stored) == b"built"

    def test_tells_the_sha256_of_what_was_stored(
        self, artifacts: Artifacts, stored: tuple[str, str]
    ) -> None:
        assert artifacts.sha256(*stored) == hashlib.sha256(b"built").hexdigest()

    def test_goes_on_reading_the_version_that_was_stored(
        self, artifacts: Artifacts, stored: tuple[str, str], overwrite: Overwrite
    ) -> None:
        before = overwrite(b"built")
        overwrite(b"swapped")
        assert artifacts.read(*stored) == b"swapped"
        assert artifacts.read(*stored, before) == b"built"
        assert artifacts.sha256(*stored, before) == hashlib.sha256(b"built").hexdigest()
        assert artifacts.sha256(*stored) == hashlib.sha256(b"swapped").hexdigest()

    def test_names_the_object_that_is_not_there(
        self, artifacts: Artifacts, stored: tuple[str, str]
    ) -> None:
        with pytest.raises(ArtifactError, match=f"s3://{stored[0]}/no/such/key"):
            artifacts.read(stored[0], "no/such/key")
        with pytest.raises(ArtifactError, match=f"s3://{stored[0]}/no/such/key"):
            artifacts.sha256(stored[0], "no/such/key")
        with pytest.raises(ArtifactError, match=f"s3://{stored[0]}/{stored[1]}"):
            artifacts.sha256(*stored, "no-such-version")
