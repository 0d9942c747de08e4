"""The digest names the content: the same content is the same digest, any other is another."""

from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.core.model.artifact import (
    ArtifactContents,
    Commit,
    Package,
    Revision,
    TemplateDefaults,
    named_code,
)
from tidegate.core.model.manifest import Manifest
from tidegate.core.model.plan import ManagedAlias


def package(letter: str) -> Package:
    return Package(key=f"applications/shop/packages/{letter * 64}.zip", sha256=letter * 64)


def alias(function: str) -> ManagedAlias:
    return ManagedAlias(
        function=function,
        alias="live",
        alias_logical_id=f"{function}Aliaslive",
        version_logical_id=f"{function}Version",
        pin_parameter=f"TidegatePinnedVersion{function}Aliaslive",
    )


def manifest(application: str = "shop") -> Manifest:
    stage = {"name": "test", "account": "222222222222", "regions": ["eu-west-1"]}
    return Manifest.model_validate({"version": 1, "application": application, "stages": [stage]})


CONTENTS = ArtifactContents(
    application="shop",
    manifest=manifest(),
    template_sha256="0" * 64,
    packages=(package("a"), package("b")),
    aliases=(alias("Shop"), alias("Cart")),
    functions=("Shop", "Cart"),
    revision=Revision(commit="c", branch="main", author="Ada"),
)


def changed(**changes: Any) -> str:
    return CONTENTS.model_copy(update=changes).digest()


def test_is_a_sha256() -> None:
    algorithm, _, digest = CONTENTS.digest().partition(":")
    assert algorithm == "sha256"
    assert len(bytes.fromhex(digest)) == 32


@pytest.mark.parametrize("listing", ["packages", "aliases", "functions"])
def test_does_not_depend_on_the_order_of_a_listing(listing: str) -> None:
    assert changed(**{listing: getattr(CONTENTS, listing)[::-1]}) == CONTENTS.digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"template_sha256": "1" * 64},
        {"packages": (package("a"),)},
        {"packages": (package("a"), package("c"))},
        {"aliases": (alias("Shop"),)},
        {"functions": ("Shop",)},
        {"manifest": manifest("cart")},
        {"defaults": TemplateDefaults(enabled=False)},
        {"revision": None},
        {"revision": Revision(commit="d", branch="main", author="Ada")},
        {"revision": Revision(commit="c", branch="other", author="Ada")},
        {"revision": Revision(commit="c", branch="main", author="Bob")},
        {"revision": Revision(commit="c", branch="main", author="Ada", history=(Commit(id="c"),))},
    ],
)
def test_depends_on_everything_that_is_deployed_and_who_wrote_it(changes: dict[str, Any]) -> None:
    assert changed(**changes) != CONTENTS.digest()


def test_survives_being_stored() -> None:
    stored = ArtifactContents.model_validate_json(CONTENTS.model_dump_json())
    assert stored == CONTENTS
    assert stored.digest() == CONTENTS.digest()


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        Package(key="k", sha256="sha256:abc")


@pytest.mark.parametrize(
    ("location", "digest"),
    [
        ({"S3Bucket": "b", "S3Key": "code.zip"}, f"sha256:{'a' * 64}"),
        ({"S3Bucket": "theirs", "S3Key": "their.zip"}, ""),
        ({"ImageUri": f"repository@sha256:{'b' * 64}"}, f"sha256:{'b' * 64}"),
        ({"ImageUri": {"Fn::Sub": f"${{R}}/app@sha256:{'b' * 64}"}}, f"sha256:{'b' * 64}"),
        ({"ImageUri": {"Fn::If": ["C", f"r@sha256:{'b' * 64}", f"r@sha256:{'c' * 64}"]}}, ""),
        ({"ImageUri": "repository:latest"}, ""),
        ({"ZipFile": "inline"}, ""),
        ("inline", ""),
        (None, ""),
    ],
)
def test_names_the_bytes_of_a_package_or_an_image_and_no_others(location: Any, digest: str) -> None:
    assert named_code(location, [Package(key="code.zip", sha256="a" * 64)]) == digest
