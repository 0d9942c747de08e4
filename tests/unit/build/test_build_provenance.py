"""The statement of a build says what was built from which commit, and by what."""

import re
from typing import Any

import pytest

from tidegate.build.provenance import BUILD_TYPE, UNKNOWN_BUILDER, make_provenance
from tidegate.build.source import Revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISION = Revision(COMMIT, "main", "Ada", "Greet", "https://example.com/acme/shop.git")
BUILD = "arn:aws:codebuild:eu-west-1:111111111111:build/shop-build:6a7f"
SUBJECTS = {"b.zip": "b" * 64, "a.zip": "a" * 64}


def statement(revision: Revision = REVISION, **environment: str) -> Any:
    return make_provenance("shop", SUBJECTS, revision, environment)


def test_is_a_statement_of_in_toto_with_the_provenance_of_slsa() -> None:
    made = statement(CODEBUILD_BUILD_ARN=BUILD)
    assert made.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    assert made["predicateType"] == "https://slsa.dev/provenance/v1"
    assert made["predicate"].keys() == {"buildDefinition", "runDetails"}
    definition = made["predicate"]["buildDefinition"]
    assert definition["buildType"] == BUILD_TYPE
    assert re.match(r"^[a-z][a-z0-9+.-]*:", definition["buildType"])  # a type is a URI
    assert definition["externalParameters"]
    for subject in made["subject"]:
        assert subject["name"]
        assert re.fullmatch("[0-9a-f]{64}", subject["digest"]["sha256"])


def test_names_each_file_by_its_digest_in_order() -> None:
    assert [(one["name"], one["digest"]) for one in statement()["subject"]] == [
        ("a.zip", {"sha256": "a" * 64}),
        ("b.zip", {"sha256": "b" * 64}),
    ]


def test_names_the_commit_and_where_it_is() -> None:
    definition = statement()["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {
            "name": "source",
            "uri": "git+https://example.com/acme/shop.git@refs/heads/main",
            "digest": {"gitCommit": COMMIT},
        }
    ]
    assert definition["externalParameters"] == {
        "application": "shop",
        "repository": "https://example.com/acme/shop.git",
        "branch": "main",
    }


@pytest.mark.parametrize(
    ("revision", "uri"),
    [
        (Revision(COMMIT), None),
        (Revision(COMMIT, repository="https://example.com/x"), "git+https://example.com/x"),
    ],
)
def test_says_no_more_of_the_source_than_is_known(revision: Revision, uri: str | None) -> None:
    (source,) = statement(revision)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source.get("uri") == uri


def test_the_builder_is_the_project_and_the_build_its_invocation() -> None:
    details = statement(CODEBUILD_BUILD_ARN=BUILD)["predicate"]["runDetails"]
    project = "arn:aws:codebuild:eu-west-1:111111111111:project/shop-build"
    assert details["builder"]["id"] == project
    assert details["metadata"] == {"invocationId": BUILD}


def test_a_build_elsewhere_says_that_nobody_knows_its_builder() -> None:
    details = statement()["predicate"]["runDetails"]
    assert (details["builder"]["id"], details["metadata"]) == (UNKNOWN_BUILDER, {})
