"""The templates of this repository, as CloudFormation reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import loads

ROOT = Path(__file__).parents[2]


def own_template(path: str) -> dict[str, Any]:
    """The template under this path, its short forms written out: ``{"Fn::GetAtt": [...]}``."""
    template: dict[str, Any] = json.loads(json.dumps(loads((ROOT / path).read_text("utf-8"))))
    return template
