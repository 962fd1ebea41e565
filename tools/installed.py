"""Lists what in an environment runs by itself or is not Python: `.pth` files, commands, native libraries.

`python -m tools.installed` writes requirements/reviewed.toml for the environment that runs it; a person then
reviews the difference. tests/project/test_supply_chain.py compares.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tools.lockfile import normalise, read_lock

ROOT = Path(__file__).parents[1]
REVIEWED = ROOT / "requirements/reviewed.toml"
LOCKS = ("run", "build")
_VARIES = (
    (re.compile(r"\.(?:cpython-\d+\w*-[\w-]+|abi3)\.so$"), ".*.so"),  # Python version, processor
    (re.compile(r"-[0-9a-f]{8,}(?=\.so)"), "-*"),  # content hash of a bundled library
    (re.compile(r"\.so(?:\.\d+)+$"), ".so.*"),  # version of a bundled library
)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one package puts on a machine beside Python code and data."""

    pth: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    native: tuple[str, ...] = ()


def read_footprint(paths: Iterable[str]) -> Footprint:
    """The footprint in a RECORD's paths, with what differs by Python and processor replaced by `*`."""
    pth, commands, native = set(), set(), set()
    for path in paths:
        name = path.rsplit("/", 1)[-1]
        if name.endswith(".pth"):
            pth.add(name)
        elif "/bin/" in path and path.startswith("../"):
            commands.add(name)
        elif re.search(r"\.(?:so(?:\.\d+)*|a|dylib|dll|exe|node|wasm)$", name):
            for pattern, replacement in _VARIES:
                path = pattern.sub(replacement, path)
            native.add(path)
    return Footprint(tuple(sorted(pth)), tuple(sorted(commands)), tuple(sorted(native)))


def installed_footprints() -> dict[str, tuple[str, Footprint]]:
    """Package -> (version, footprint) of everything in the running environment."""
    return {
        normalise(found.name): (found.version, read_footprint(str(path) for path in found.files or ()))
        for found in metadata.distributions()
    }


def reviewed_footprints() -> dict[str, Footprint]:
    """Package -> footprint that a person has seen; packages without one are not listed."""
    rows = tomllib.loads(REVIEWED.read_text(encoding="utf-8"))
    return {
        name: Footprint(**{kind: tuple(values) for kind, values in row.items()}) for name, row in rows.items()
    }


def render(footprints: dict[str, Footprint]) -> str:
    """The reviewed list as TOML."""
    lines = [
        "# What `make run` installs beside Python code and data, by package; `*` stands for Python version,",
        "# processor, content hash and library version. A package that is not here has none. Written by",
        "# `.venv-test/bin/python -m tools.installed`; review the difference before you commit it.",
    ]
    for name, footprint in sorted(footprints.items()):
        if footprint == Footprint():
            continue
        lines += ["", f"[{name}]"]
        for kind in ("pth", "commands", "native"):
            if values := getattr(footprint, kind):
                lines += [f"{kind} = [", *(f'    "{value}",' for value in values), "]"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the list anew."""
    locked = {pin.name for lock in LOCKS for pin in read_lock(ROOT / f"requirements/{lock}.txt").pins}
    found = {name: footprint for name, (_, footprint) in installed_footprints().items() if name in locked}
    REVIEWED.write_text(render(found), encoding="utf-8")
    print(f"wrote {REVIEWED.relative_to(ROOT)}: review the difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
