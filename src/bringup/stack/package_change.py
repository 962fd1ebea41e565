"""One package that changed, who changed it, and which packages matter here."""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass

RELEVANT: Final = regex(
    r"^(?:lib)?(?:nvidia|cuda-drivers|cuda-compat|xserver-xorg-video-nvidia|akmod-nvidia|kmod-nvidia|linux-(?:image|"
    r"modules|headers|objects)|kernel(?:-core|-default|-devel|-modules)?(?:-\d|$)|linux(?:-lts|-zen|-hardened)?$)"
)
"""Packages of the driver and of kernels: what the doctor asks for."""

TOLD: Final = regex(
    RELEVANT.pattern
    + r"|^(?:lib)?nvidia-container|^cuda-|^libcu(?:da|blas|dnn|fft|rand|sparse|solver)|^libnccl"
    r"|^docker|^containerd|^podman"
    r"|^(?:gcc|g\+\+|clang)(?:-\d+)?$|^libc6$|^glibc$|^dkms$|^llama|^libllama|^ggml|^ollama|^libvulkan|^mesa-vulkan"
    r"|^shim-signed$|^grub-(?:pc|efi-amd64)$|^python3-(?:torch|llama)|^firmware-nvidia|^nvidia-settings$|^systemd$"
)
"""Packages that the timeline tells of: what can touch a layer of the stack."""

COMMAND_LIMIT_CHARACTERS: Final = 200


class Author(Enum):
    """Who made a change."""

    UNATTENDED = "unattended"
    BY_HAND = "by hand"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """One package that changed.

    Attributes:
        when: time as the log writes it, without its zone, `2025-07-14 06:32:11`.
        action: `upgrade`, `install`, `reinstall`, `remove`, `purge`, `downgrade`.
        package: its name without architecture.
        old: version before; empty for an install, and where the log does not tell.
        new: version after; empty for a removal.
        author: unattended, by hand, or unknown.
        command: what was run, where the log keeps it.
        offset: distance from UTC as the log writes it (`+0200`, `Z`); empty for local time without one.
        source: the log that tells.
    """

    when: str
    action: str
    package: str
    old: str
    new: str
    author: Author = Author.UNKNOWN
    command: str = ""
    offset: str = ""
    source: str = ""

    @property
    def is_driver(self) -> bool:
        """Whether this is a package of the NVIDIA driver (not of a kernel)."""
        return "nvidia" in self.package or self.package.startswith("cuda-")
