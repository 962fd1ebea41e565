"""What a command shows, run in this process."""

from __future__ import annotations

import io

from bringup.faces.cli.main import run
from bringup.faces.render.console import Console


def shown_by(*arguments: str) -> tuple[int, str]:
    """Exit code, and all that was written."""
    pipe = io.StringIO()
    code = run(arguments, console=Console(stdin=None, stdout=pipe, stderr=pipe))
    return code, pipe.getvalue()
