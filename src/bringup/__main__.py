"""Entry point of the `bringup` command and of `python -m bringup`."""

from __future__ import annotations

import gc
import sys

_OBJECTS_BEFORE_COLLECTING = 50_000
"""A short command's objects live to its end; looking for cycles among them would cost a tenth of its time."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTING, 20, 20)
    try:
        from bringup.faces.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    gc.freeze()  # else the interpreter looks for cycles once more on its way out: a tenth of a plan's time
    raise SystemExit(code)


if __name__ == "__main__":
    main()
