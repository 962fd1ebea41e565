"""The sixteen machines that the doctor has to know in full, each with the folder that holds it."""

from __future__ import annotations

from typing import Final

WHOLE_MACHINES: Final = {
    "the morning after the upgrade": "driver-library-mismatch/morning",
    "the same machine after its reboot": "driver-library-mismatch/after-the-reboot",
    "module missing for the new kernel": "module-missing-for-kernel/prebuilt",
    "secure boot": "secure-boot-unsigned/unsigned",
    "nouveau": "nouveau-in-use/before-the-reboot",
    "no driver": "driver-not-installed/machine-new",
    "open module required (RTX 50)": "open-module-required/rtx-50-proprietary",
    "runfile and apt mixed": "libraries-mixed/machine-runfile-over-apt",
    "CPU-only engine": "cpu-only-build/machine-with-driver",
    "VRAM held by another program": "vram-taken-by-others/machine-notebook",
    "two toolkits": "toolkits-mixed/machine-two",
    "container without GPU": "container-no-gpu-flag/machine-inside",
    "stale CDI": "container-cdi-stale/machine-after-update",
    "WSL2": "wsl-driver-missing/machine-linux-driver",
    "laptop after suspend": "lost-after-suspend/laptop",
    "Xid 79": "gpu-fell-off-bus/under-load",
}

HEALTHY: Final = ("the same machine after its reboot",)
"""Those on which nothing may be found."""
