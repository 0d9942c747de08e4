"""Reading build specifications."""

import pytest

from tidegate_embedded.codebuild.buildspec import (
    BuildspecError,
    Files,
    OnFailure,
    Phase,
    parse_buildspec,
)


def test_reads_all_that_a_build_needs() -> None:
    buildspec = parse_buildspec(
        """
        version: 0.2
        env:
          shell: bash
          variables: {COUNT: 3, DEBUG: true, NAME: x}
          parameter-store: {TOKEN: /app/token}
          exported-variables: [COUNT]
        phases:
          install: {runtime-versions: {python: 3.12}, commands: [make]}
          build: {commands: make test, finally: [make clean], on-failure: CONTINUE}
        reports:
          unit: {files: ['*.xml'], base-directory: reports}
        artifacts:
          files: ['**/*']
          discard-paths: yes
          secondary-artifacts:
            docs: {files: [docs/*]}
        """
    )
    assert buildspec.shell == "/bin/bash"
    assert buildspec.variables == {"COUNT": "3", "DEBUG": "true", "NAME": "x"}
    assert buildspec.parameters == {"TOKEN": "/app/token"}
    assert buildspec.exported == ("COUNT",)
    assert buildspec.phases["build"] == Phase(("make test",), ("make clean",), OnFailure.CONTINUE)
    assert buildspec.reports["unit"].file_format == "JUNITXML"
    assert buildspec.artifacts == Files(("**/*",), discard_paths=True)
    assert buildspec.secondary_artifacts == {"docs": Files(("docs/*",))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("just words", "expected a mapping, found str"),
        ("version: 0.2\nphases: [\n", "while parsing"),
        ("{version: 0.1, phases: {build: {commands: [a]}}}", "expected 0.2"),
        ("version: 0.2", "phases: expected at least one of install, pre_build, build, post_build"),
        ("{version: 0.2, phases: {tests: {}}}", "unknown phase tests"),
        ("{version: 0.2, env: {shell: fish}, phases: {build: {}}}", "env.shell"),
        ("{version: 0.2, phases: {build: {on-failure: RETRY}}}", "phases.build.on-failure"),
        ("{version: 0.2, phases: {build: {}}, artifacts: {files: []}}", "artifacts.files"),
        ("{version: 0.2, phases: {build: {commands: [{a: b}]}}}", "phases.build.commands[0]"),
    ],
)
def test_names_the_place_of_a_mistake(text: str, said: str) -> None:
    with pytest.raises(BuildspecError) as caught:
        parse_buildspec(text)
    assert said in str(caught.value)
