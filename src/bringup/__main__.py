"""Entry point of the `bringup` command and of `python -m bringup`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from bringup.faces.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)


if __name__ == "__main__":
    main()
