"""Records this machine, redacted, as a case: `scripts/record-case driver-library-mismatch my-laptop`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bringup.faults._catalogue import find_fault, load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._scene import Scene
from bringup.machine.live import LiveMachine
from bringup.machine.recorder import Recorder
from bringup.machine.redaction import redactor_for
from bringup.stack.probe import probe_stack

ROOT = Path(__file__).parents[1]


def record(folder: Path) -> tuple[str, ...]:
    """Look at this machine, keep what was read in `folder`; the roots that were found."""
    live = LiveMachine()
    recorder = Recorder(live)
    looked = probe_stack(recorder)
    recorder.save(str(folder), redactor_for(live))
    found = diagnose(Scene(looked.stack, looked.lines), load_catalogue())
    roots = tuple(finding.fault.id for finding in found.roots)
    expected = ", ".join(f'"{name}"' for name in roots)
    (folder / "case.toml").write_text(f'origin = "recorded"\nexpected = [{expected}]\n')
    return roots


def main(arguments: list[str]) -> int:
    """The script; 2 for wrong use."""
    words = [re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", word) for word in arguments]
    if len(arguments) != 2 or not all(words) or find_fault(arguments[0]) is None:
        print("usage: scripts/record-case FAULT-ID VARIANT   (a known id, lower-case words)", file=sys.stderr)
        return 2
    folder = ROOT / "tests/cases" / arguments[0] / arguments[1]
    if folder.exists():
        print(f"{folder.relative_to(ROOT)} is there already", file=sys.stderr)
        return 2
    roots = record(folder)
    print(folder.relative_to(ROOT))
    print(f"roots: {', '.join(roots) or 'none'}. Read every file before you share it.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
