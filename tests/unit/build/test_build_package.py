"""Packages are the same bytes for the same code."""

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.applications import write
from tidegate.build.expand import expand_template
from tidegate.build.package import PackageStore, files_under, package_code, write_zip
from tidegate.build.template import parse_template
from tidegate.core.errors import TemplateError


def test_the_same_code_gives_the_same_zip(tmp_path: Path) -> None:
    write(tmp_path / "one", {"b/two.py": "2", "a.py": "1"})
    write(tmp_path / "two", {"a.py": "1", "b/two.py": "2", "b/__pycache__/two.pyc": "bytecode"})
    os.utime(tmp_path / "two" / "a.py", (0, 1_000_000_000))

    for name in ("one", "two"):
        write_zip(tmp_path / f"{name}.zip", files_under(tmp_path / name))

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_zip_keeps_what_may_be_executed(tmp_path: Path) -> None:
    write(tmp_path / "code", {"bootstrap": "#!/bin/sh", "data.json": "{}"})
    (tmp_path / "code" / "bootstrap").chmod(0o700)

    write_zip(tmp_path / "code.zip", files_under(tmp_path / "code"))

    with zipfile.ZipFile(tmp_path / "code.zip") as archive:
        modes = {i.filename: stat.S_IMODE(i.external_attr >> 16) for i in archive.infolist()}
    assert modes == {"bootstrap": 0o755, "data.json": 0o644}


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    write(tmp_path, {"shared/lib.py": "lib", "code/app.py": "app"})
    (tmp_path / "code" / "lib").symlink_to(tmp_path / "shared")
    (tmp_path / "code" / "self").symlink_to(tmp_path / "code")

    names = [name for name, _ in files_under(tmp_path / "code", within=[tmp_path])]

    assert sorted(names) == ["app.py", "lib/lib.py"]


def test_says_which_link_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing")

    with pytest.raises(TemplateError, match=r"gone\.py: the link leads nowhere"):
        list(files_under(tmp_path))


def test_a_zip_is_stored_as_it_is(tmp_path: Path, store: PackageStore) -> None:
    with zipfile.ZipFile(tmp_path / "ready.jar", "w") as archive:
        archive.writestr("Handler.class", "code")

    key = store.add_code(tmp_path / "ready.jar")

    assert store.path(key).read_bytes() == (tmp_path / "ready.jar").read_bytes()
    assert key == f"applications/shop/packages/{store.digests[key]}.zip"


def test_code_of_the_globals_serves_every_function_without_its_own(
    tmp_path: Path, store: PackageStore
) -> None:
    write(tmp_path, {"code/app.py": "app"})
    template = parse_template(
        "Globals: {Function: {CodeUri: code}}\n"
        "Resources:\n"
        "  A: {Type: AWS::Serverless::Function}\n"
        "  B: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}}\n"
    )

    package_code(template, tmp_path / "template.yaml", store)

    assert template["Resources"]["A"]["Properties"]["CodeUri"]["Key"] in store.digests
    assert "CodeUri" not in template["Resources"]["B"]["Properties"]


def test_says_which_functions_code_is_missing(tmp_path: Path, store: PackageStore) -> None:
    template = parse_template(
        "Resources: {Greeter: {Type: AWS::Serverless::Function, Properties: {CodeUri: greeter/}}}"
    )

    with pytest.raises(
        TemplateError, match=r"template\.yaml: Greeter\.CodeUri: there is no greeter/ in .*sam bui"
    ):
        package_code(template, tmp_path / "template.yaml", store)


def test_refuses_a_local_template_inside_the_template(tmp_path: Path, store: PackageStore) -> None:
    template = parse_template(
        "Resources: {Sub: {Type: AWS::Serverless::Application, Properties: {Location: sub.yaml}}}"
    )

    with pytest.raises(
        TemplateError, match=r"template\.yaml: Sub\.Location: .* sub\.yaml, is not released with"
    ):
        package_code(template, tmp_path / "template.yaml", store)


def test_refuses_what_only_the_application_repository_knows(
    tmp_path: Path, store: PackageStore
) -> None:
    template = parse_template(
        "Resources:\n"
        "  Auth:\n"
        "    Type: AWS::Serverless::Application\n"
        "    Properties: {Location: {ApplicationId: arn:x:auth, SemanticVersion: 1.0.0}}\n"
    )

    with pytest.raises(
        TemplateError,
        match=r"template\.yaml: Auth\.Location: SAM asks the Serverless Application Repository for"
        r" the template of arn:x:auth.* `Location: https://\.\.\.`",
    ):
        package_code(template, tmp_path / "template.yaml", store)


def test_takes_a_template_in_a_bucket_without_credentials(
    tmp_path: Path, store: PackageStore
) -> None:
    template = parse_template(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  Auth:\n"
        "    Type: AWS::Serverless::Application\n"
        "    Properties: {Location: https://bucket.s3.amazonaws.com/auth.yaml}\n"
    )

    package_code(template, tmp_path / "template.yaml", store)

    stack = expand_template(template).template["Resources"]["Auth"]
    assert stack["Type"] == "AWS::CloudFormation::Stack"
    assert stack["Properties"]["TemplateURL"] == "https://bucket.s3.amazonaws.com/auth.yaml"


def test_a_zip_has_the_names_that_are_on_disk_whatever_the_locale_is(tmp_path: Path) -> None:
    code = tmp_path / "code"
    write(code, {"größe.py": "size = 1"})
    subprocess.run(["git", "-C", code, "init", "--quiet"], check=True)
    subprocess.run(["git", "-C", code, "add", "größe.py"], check=True)
    program = (
        "import sys; from pathlib import Path; from tidegate.build.package import *;"
        "from tidegate.build.source import source_files; code, zips = map(Path, sys.argv[1:]);"
        "write_zip(zips / 'tree.zip', files_under(code));"
        "write_zip(zips / 'source.zip', source_files(code, output=zips / 'none'))"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", program, code, tmp_path], env=environment, check=True)
    write_zip(tmp_path / "here.zip", files_under(code))

    for name in ("tree.zip", "source.zip"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "here.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "here.zip").namelist() == ["größe.py"]


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"gr\xf6sse.py")).write_text("size = 1\n")

    with pytest.raises(TemplateError, match=r"its name is not UTF-8\. Rename it"):
        write_zip(tmp_path / "code.zip", list(files_under(tmp_path)))


def test_a_zip_that_code_names_is_stored_byte_for_byte(tmp_path: Path, store: PackageStore) -> None:
    with zipfile.ZipFile(tmp_path / "signed.zip", "w") as archive:
        archive.writestr("app.py", "")
        archive.writestr("META-INF/aws_signer_signature_v1.0.SF", "signature")

    key = store.add_code(tmp_path / "signed.zip")

    assert store.path(key).read_bytes() == (tmp_path / "signed.zip").read_bytes()
