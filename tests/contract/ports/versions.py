"""What every way to published versions does.

A subclass gives the fixtures ``versions`` and ``published``: the name of a function with the
versions 1 to 3, whose only alias serves version 1 and, with a weight, version 2.
"""

from __future__ import annotations

import re

import pytest

from tidegate.core.errors import NotFound
from tidegate.core.ports import Versions


class VersionsContract:
    def test_lists_versions_by_number(self, versions: Versions, published: str) -> None:
        assert versions.published(published) == [1, 2, 3]

    def test_tells_what_aliases_serve_weighted_or_not(
        self, versions: Versions, published: str
    ) -> None:
        assert versions.in_use(published) == {1, 2}

    def test_gives_the_digest_of_the_code(self, versions: Versions, published: str) -> None:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", versions.code(published, "1"))

    def test_what_is_not_published_has_code_too(self, versions: Versions, published: str) -> None:
        assert versions.code(published, "$LATEST") == versions.code(published, "3")

    def test_a_function_without_layers_has_none(self, versions: Versions, published: str) -> None:
        assert versions.layers(published, "1") == []

    def test_says_that_there_is_no_such_layer(self, versions: Versions, account: str) -> None:
        with pytest.raises(NotFound):
            versions.layer_code(f"arn:aws:lambda:eu-west-1:{account}:layer:nothing:1")

    def test_deletes_one_version_however_often_it_is_asked(
        self, versions: Versions, published: str
    ) -> None:
        versions.delete(published, 3)
        versions.delete(published, 3)
        assert versions.published(published) == [1, 2]
        with pytest.raises(NotFound):
            versions.code(published, "3")

    def test_knows_nobody_who_calls_without_the_alias(
        self, versions: Versions, published: str
    ) -> None:
        assert versions.bypasses(published) == []

    def test_says_that_there_is_no_such_function(self, versions: Versions) -> None:
        with pytest.raises(NotFound):
            versions.published("nothing")
