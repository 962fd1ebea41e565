"""Entry point of the `bringup` command and of `python -m bringup`."""

from __future__ import annotations

import gc
import sys

_OBJECTS_BEFORE_COLLECTING = 50_000
"""A short command's objects live to its end; looking for cycles among them would cost a tenth of its time."""

_OUT_OF_THE_FINALISER_S = 0.02


def keep_interrupt(swallowed: sys.UnraisableHookArgs) -> None:
    """A Ctrl-C that fell into a finaliser's code, where Python would drop it, comes again in a moment."""
    if swallowed.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(swallowed)
        return
    import signal
    import threading

    main_thread = threading.main_thread().ident
    again = threading.Timer(_OUT_OF_THE_FINALISER_S, signal.pthread_kill, (main_thread, signal.SIGINT))
    again.daemon = True
    again.start()


def main() -> None:
    """Run the command line and exit with its code."""
    sys.unraisablehook = keep_interrupt
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
