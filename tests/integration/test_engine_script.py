"""The script that brings its own container engine says loudly when there can be none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "engine" / "run"


@pytest.mark.parametrize(("allowed", "status"), [("", 1), ("1", 0)])
def test_fails_without_an_engine_unless_that_is_allowed(
    tmp_path: Path, allowed: str, status: int
) -> None:
    nobody = tmp_path / "id"
    nobody.write_text("#!/bin/sh\necho 1000\n")
    nobody.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ALLOW_NO_ENGINE": allowed}

    done = subprocess.run(
        [RUN, "touch", tmp_path / "ran"], env=variables, capture_output=True, text=True, check=False
    )

    assert done.returncode == status
    assert "############ NO CONTAINER ENGINE: only root can start one" in done.stderr
    assert "ALLOW_NO_ENGINE=1" in done.stderr
    assert not (tmp_path / "ran").exists()
