"""`python -m toolplane_hooks`."""

import sys

from .runner import main


def run() -> None:
    """Runs the command that this process was started with."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
