"""What `ls -l`, `id` and lists of packages say in a paste: device files, libraries, kernels and headers."""

from __future__ import annotations

from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass
from bringup.stack.lines import Line, Lines
from bringup.stack.version import DriverVersion, find_driver_version

_DEVICE: Final = regex(
    r"c([rwxsStT-]{9})[.+]?\s{1,4}\d{1,4}\s{1,4}(\S{1,40})\s{1,8}(\S{1,40})\s{1,8}\d{1,4},\s{0,4}\d{1,4}\s.{0,40}"
    r"\s(?:/dev/(?:dri/)?)?(nvidia(?:ctl|\d{1,3}|-uvm(?:-tools)?|-modeset)?|renderD\d{3})$"
)
_IDENTITY: Final = regex(r"uid=(\d{1,10})\((\S{1,40})\) gid=\S{1,60} (?:groups|Gruppen|groupes)=(\S{1,600})")
_GROUP: Final = regex(r"(\d{1,10})(?:\(([^)]{1,40})\))?")
_LIBRARY: Final = regex(
    r"-[rwx-]{9}[.+]?\s.{1,120}\s(\S{0,120}lib(?:nvidia-ml|cuda)\.so\.(\d{3}\.[\d.]{1,12}))$"
)
_KERNEL: Final = regex(
    r"kernel(?:-core|-default)?(?:\.x86_64\s{1,80}|-)(\d[\w.+~-]{4,60}?)(?:\.x86_64)?(?:\s|$)"
)
_HEADERS: Final = regex(
    r"kernel(?:-default)?-devel(?:\.x86_64\s{1,80}|-)(\d[\w.+~-]{4,60}?)(?:\.x86_64)?(?:\s|$)"
)


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device file in a listing: nine letters of its mode, names of its owner and group."""

    name: str
    mode: str
    owner: str
    group: str
    line: Line

    def may_use(self, identity: ListedIdentity | None) -> bool:
        """Whether a user may read and write it; without one, whether its group or everybody may."""
        triads = [self.mode[start : start + 2] for start in (0, 3, 6)]
        if identity is None:
            return "rw" in triads[1:]
        if identity.user_id == 0:
            return True
        mine = 0 if self.owner in identity.names else 1 if self.group in identity.groups else 2
        return triads[mine] == "rw"


@dataclass(frozen=True, slots=True)
class ListedIdentity:
    """What `id` printed: the user's number and name, and names and numbers of the groups."""

    user_id: int
    names: tuple[str, ...]
    groups: tuple[str, ...]
    line: Line


def listed_devices(lines: Lines) -> tuple[ListedDevice, ...]:
    """Device files of the GPU that a listing shows.

    Raw line: `crw-rw---- 1 root video 195,   0 Feb 15 19:37 /dev/nvidia0`.
    """
    return tuple(
        ListedDevice(row[4], row[1], row[2], row[3], line)
        for anchor in ("nvidia", "renderd")
        for line in lines.with_anchor(anchor)
        if (row := _DEVICE.match(line.text.strip())) is not None
    )


def listed_identity(lines: Lines) -> ListedIdentity | None:
    """The last user that `id` told of; `None` where it was not asked.

    Raw line: `uid=1000(ann) gid=1000(ann) groups=1000(ann),44(video)`.
    """
    found = lines.last(_IDENTITY.pattern, anchor="uid=")
    if found is None:
        return None
    line, match = found
    groups = [word for pair in _GROUP.findall(match[3]) for word in pair if word]
    return ListedIdentity(int(match[1]), (match[1], match[2]), tuple(groups), line)


def listed_libraries(lines: Lines) -> tuple[tuple[DriverVersion, Line], ...]:
    """Files of NVML and libcuda that a listing shows, one for each version.

    Raw line: `-rw-r--r--  1 root root  1.8M May 12  2022 libnvidia-ml.so.470.129.06`.
    """
    found: dict[DriverVersion, Line] = {}
    for line in lines.with_anchor(".so."):
        row = _LIBRARY.match(line.text.strip())
        version = find_driver_version(row[2]) if row is not None else None
        if version is not None:
            found.setdefault(version, line)
    return tuple(found.items())


def listed_kernels(lines: Lines) -> tuple[tuple[str, ...], tuple[str, ...], Line | None]:
    """Versions of kernels and of kernel-devel in a list of rpm packages, and the last row of the latter.

    Raw line: `kernel-devel.x86_64                   3.10.0-1127.18.2.el7     @updates`.
    """
    kernels: list[str] = []
    headers: list[str] = []
    last: Line | None = None
    for line in lines.with_anchor("kernel"):
        text = line.text.strip()
        if (row := _HEADERS.match(text)) is not None:
            headers.append(row[1])
            last = line
        elif (row := _KERNEL.match(text)) is not None:
            kernels.append(row[1])
    return tuple(kernels), tuple(headers), last
