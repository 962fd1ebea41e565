"""What a process of our own printed that asked a library of the driver, which may kill or hold it."""

from __future__ import annotations

from typing import Any

from bringup.machine.protocol import CommandResult
from bringup.reading import Absent, Known, Reading, parse_json


def read_report(result: CommandResult, *, library: str) -> dict[str, Any]:
    """The report, a JSON object.

    Raises:
        ValueError: it died before it could print, printed something else, or could not ask.
    """
    if result.exit_code < 0:
        raise ValueError(f"{library} killed the process that asked it (signal {-result.exit_code})")
    report = parse_json(result.stdout)
    if not isinstance(report, dict) or report.get("schema") != 1:
        raise ValueError("not an answer of ours")
    if report.get("problem"):
        raise ValueError(str(report["problem"])[:200])
    return report


def read_hanging(report: dict[str, Any], source: str) -> Reading[str]:
    """The call that did not return; absent where all did."""
    hangs = report.get("hangs_in")
    return Known(str(hangs), source) if hangs else Absent(source)
