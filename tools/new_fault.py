"""Writes the skeleton of a fault, its case and its near miss: `scripts/new-fault kernel/my-fault`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = (
    *("hardware", "kernel", "container", "userspace", "toolkit"),
    *("build", "model", "memory", "context", "runtime"),
)

SKELETON = '''"""TITLE: what is wrong, in one line.

Symptom: what the user sees.
Reason: why it happens, in two sentences.
Sources: https://
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Sign, Step

SIGNS = (
    Sign(
        r"PATTERN",
        anchor="pattern",
        example="a line that a program really printed: PATTERN",
    ),
)

EXPLAINS = ()

STEPS = (Step("See what decides.", ("uname", "-r"), Safety.LOOK),)
'''


def trouble_with(name: str, root: Path) -> str:
    """What is wrong with `layer/id`; empty when nothing is."""
    layer, _, fault_id = name.partition("/")
    if layer not in LAYERS:
        return f"no layer {layer!r}; there are {', '.join(LAYERS)}"
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)+", fault_id):
        return f"{fault_id!r} is no id: lower-case words joined by hyphens, naming what is wrong"
    banned = (root / "tests/faults/banned_ids.txt").read_text().split()
    if any(fault_id.startswith(start) for start in banned):
        return f"{fault_id!r} names a remedy; an id names what is wrong"
    module = fault_id.replace("-", "_") + ".py"
    if list((root / "src/bringup/faults").glob(f"*/{module}")):
        return f"{fault_id} is there already"
    return ""


def write_skeleton(name: str, root: Path) -> list[Path]:
    """Write the fault's file and its two cases; the paths that were written."""
    layer, _, fault_id = name.partition("/")
    texts = {
        f"src/bringup/faults/{layer}/{fault_id.replace('-', '_')}.py": SKELETON,
        f"tests/cases/{fault_id}/fires/paste.txt": "a line that a program really printed: PATTERN\n",
        f"tests/cases/{fault_id}/fires/case.toml": f'origin = "made"\nexpected = ["{fault_id}"]\n',
        f"tests/cases/{fault_id}/near-miss/paste.txt": "a line that looks like it and is not\n",
        f"tests/cases/{fault_id}/near-miss/case.toml": 'origin = "made"\nexpected = []\n',
    }
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return [root / path for path in texts]


def main(arguments: list[str]) -> int:
    """The script; 2 for wrong use."""
    if len(arguments) != 1:
        print("usage: scripts/new-fault LAYER/ID", file=sys.stderr)
        return 2
    trouble = trouble_with(arguments[0], ROOT)
    if trouble:
        print(trouble, file=sys.stderr)
        return 2
    for path in write_skeleton(arguments[0], ROOT):
        print(path.relative_to(ROOT))
    print("Then: fill them in, run scripts/test tests/faults and scripts/docs.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
