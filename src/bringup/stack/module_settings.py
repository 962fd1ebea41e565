"""What modprobe.d says of the modules that drive GPUs."""

from __future__ import annotations

from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import Known, Reading, Unreadable
from bringup.records import dataclass

_FOLDERS: Final = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
_MODULES: Final = regex(r"\b(?:nvidia|nouveau|vfio|nova_core)")


@dataclass(frozen=True, slots=True)
class ModuleSetting:
    """One line of modprobe.d: `blacklist nouveau`, `options nvidia NVreg_...=1`, `alias nvidia off`."""

    action: str
    module: str
    rest: str
    path: str
    line_number: int


def probe_settings(machine: Machine) -> Reading[tuple[ModuleSetting, ...]]:
    """Lines of modprobe.d that name nvidia, nouveau or vfio; a file in /etc hides its namesakes."""
    found: list[ModuleSetting] = []
    seen: set[str] = set()
    problem: Unreadable | None = None
    for folder in _FOLDERS:
        names = machine.list_folder(folder)
        if isinstance(names, Unreadable):
            problem = names
        for name in names.value if isinstance(names, Known) else ():
            if not name.endswith(".conf") or name in seen:
                continue
            seen.add(name)
            text = machine.read_text(f"{folder}/{name}")
            if isinstance(text, Known):
                found.extend(parse_settings(text.value, f"{folder}/{name}"))
    if not seen and problem is not None:
        return problem
    return Known(tuple(found), "/etc/modprobe.d")


def parse_settings(text: str, path: str) -> tuple[ModuleSetting, ...]:
    """Relevant lines of one file.

    Raw line: `options nvidia NVreg_PreserveVideoMemoryAllocations=1`.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split(None, 2)
        if len(words) >= 2 and words[0] in _ACTIONS and _MODULES.search(line):
            rest = words[2].strip() if len(words) > 2 else ""
            found.append(ModuleSetting(words[0], words[1].replace("-", "_"), rest, path, number))
    return tuple(found)


_ACTIONS: Final = ("blacklist", "options", "alias", "install", "remove", "softdep")
