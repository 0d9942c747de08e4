"""No file that a commit brings stops those who read it: it is refused, in words, at once."""

import pytest

from tidegate.build.template import parse_template
from tidegate.core.errors import ManifestError, TemplateError
from tidegate.core.model.manifest import parse_manifest

MANY = "[" + "a, " * 2_000_000 + "a]"
NUMBERS = ["0x" + "f" * 250_000, "0x" + "f" * 900, "9" * 5_000, "9" * 41, "0b" + "1" * 20_000]


def test_megabytes_of_yaml_keep_no_reader_busy() -> None:
    with pytest.raises(ManifestError, match=r"6,\d{3},\d{3} characters, and at most 300,000"):
        parse_manifest(f"version: {MANY}")
    with pytest.raises(TemplateError, match=r"6,\d{3},\d{3} characters, and CloudFormation takes"):
        parse_template(f"Description: {MANY}")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", ["version: {}", "? {}\n: 1", "{}", "version: [{}]"])
def test_no_huge_number_ends_a_reader(number: str, where: str) -> None:
    with pytest.raises(ManifestError, match="a number has more than 40 digits"):
        parse_manifest(where.format(number))


@pytest.mark.parametrize("number", NUMBERS)
def test_no_huge_number_gets_into_a_template(number: str) -> None:
    with pytest.raises(TemplateError, match=r"template\.yaml:1: .* more than 40 digits"):
        parse_template(f"Metadata: {{Size: {number}}}\nResources: {{}}\n")
