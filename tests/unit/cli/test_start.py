"""Help comes at once: nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "boto3",
    "botocore",
    "pydantic",
    "samtranslator",
    "rich.live",
    "tidegate.core.model.record",
)


def test_help_imports_nothing_that_is_heavy() -> None:
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom tidegate.cli.app import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0 and 'Exit codes: 0' in result.stdout\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
