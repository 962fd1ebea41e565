"""The NVIDIA driver on the disk is newer than the module in the kernel: a restart is due.

Symptom: nothing fails yet; programs that run go on, and the next start of a GPU program may fail.
Reason: An upgrade put a new driver on the disk, and the kernel keeps the module that it loaded at boot.
    From the moment the libraries are replaced as well, new programs and the old module do not fit.
Sources: https://github.com/oddmario/NVIDIA-Ubuntu-Driver-Guide/issues/4
    https://documentation.ubuntu.com/server/how-to/graphics/install-nvidia-drivers/
Limits: when programs fail already, it is `driver-library-mismatch`.
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Step

EXPLAINS = ("container-cdi-stale",)

STEPS = (
    Step("See the version of the loaded module.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    Step(
        "Restart at a moment of your choosing.",
        ("systemctl", "reboot"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="all running programs end",
        verify=("nvidia-smi",),
    ),
)
