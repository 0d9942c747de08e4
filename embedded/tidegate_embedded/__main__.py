"""`python -m tidegate_embedded`: serves the embedded AWS until SIGTERM or SIGINT."""

import argparse
import logging
import os
from pathlib import Path

from tidegate_embedded.cloud import EmbeddedAws
from tidegate_embedded.process import told_to_stop


def main() -> None:
    """Serve, say where on standard output, and stop on a signal."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING)
    parent = os.getppid()
    stopping = told_to_stop()
    aws = EmbeddedAws(state_dir=options.state)
    aws.start(options.port)
    try:
        print(aws.endpoint, flush=True)  # noqa: T201
        while not stopping.wait(timeout=1):
            if options.exit_with_parent and os.getppid() != parent:
                return
    finally:
        aws.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tidegate_embedded", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=4566, help="port to serve on; another is taken if it is in use"
    )
    parser.add_argument(
        "--state", type=Path, help="folder for its files (default: a temporary one)"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when the parent process is gone"
    )
    return parser


if __name__ == "__main__":
    main()
