"""Which ready-made wheel serves a card and its driver; the table is in `wheels.toml`. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from bringup.records import dataclass

_TAG: Final = re.compile(r"cu(\d{2})(\d)(?!\d)")

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CudaWheel:
    """Wheels for one CUDA; cards as compute capabilities times ten.

    Attributes:
        version: of CUDA, (12, 8).
        native: exact machine code.
        jit: compiled by the driver at the first start; serves these and newer ones.
    """

    version: Version
    native: tuple[int, ...]
    jit: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WheelTable:
    """The package, the oldest version that has what we ask of it, and its wheels with CUDA."""

    package: str
    oldest: str
    cuda: tuple[CudaWheel, ...]

    def requirement(self, version: str | None) -> str:
        """As pip writes it: the newest that serves, or the version that was asked for."""
        return f"{self.package}=={version}" if version else f"{self.package}>={self.oldest}"


@cache
def wheel_table() -> WheelTable:
    """The table."""
    import tomllib
    from importlib.resources import files

    table = tomllib.loads((files("bringup.engine") / "wheels.toml").read_text(encoding="utf-8"))
    rows = tuple(
        CudaWheel((row["version"][0], row["version"][1]), tuple(row["native"]), tuple(row["jit"]))
        for row in table["cuda"]
    )
    return WheelTable(table["package"], table["oldest"], rows)


def cuda_of_index(address: str) -> Version | None:
    """The CUDA that an index's address names, as they are usually called; `None` where it names none.

    Raw words: `cu128` is 12.8, `cu132` is 13.2.
    """
    match = _TAG.search(address.lower())
    return (int(match[1]), int(match[2])) if match else None


def wheel_unfit(version: Version, archs: tuple[str, ...], driver: Version | None) -> str | None:
    """Why wheels for this CUDA do not serve these cards and driver; `None` where nothing speaks against it.

    Args:
        version: of CUDA.
        archs: compute capabilities times ten of the cards.
        driver: the newest CUDA that the driver runs; `None` where it does not say.
    """
    if driver is not None and driver[0] < version[0]:
        return f"its wheels are for CUDA {_shown(version)}, the driver runs CUDA {_shown(driver)}"
    row = next((row for row in wheel_table().cuda if row.version == version), None)
    if row is None:
        return None
    for arch in (int(text) for text in archs):
        if arch in row.native:
            continue
        if not any(one <= arch for one in row.jit):
            return f"its wheels have no code for compute capability {arch // 10}.{arch % 10}"
        if driver is not None and driver < version:
            return (
                f"compute capability {arch // 10}.{arch % 10} has only code that the driver would compile,"
                f" and for that it has to run CUDA {_shown(version)}; it runs {_shown(driver)}"
            )
    return None


def fitting_cuda(archs: tuple[str, ...], driver: Version | None) -> tuple[str, ...]:
    """The CUDA versions whose wheels serve these cards with this driver, as `12.8`, the newest last."""
    rows = sorted(wheel_table().cuda, key=lambda row: row.version)
    return tuple(_shown(row.version) for row in rows if wheel_unfit(row.version, archs, driver) is None)


def _shown(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
