"""The NVIDIA driver on the disk is newer than the module in the kernel: a restart is due.

Symptom: nothing fails yet; programs that run go on, and the next start of a GPU program may fail.
Reason: An upgrade put a new driver on the disk, and the kernel keeps the module that it loaded at boot.
    From the moment the libraries are replaced as well, new programs and the old module do not fit.
Sources: https://github.com/oddmario/NVIDIA-Ubuntu-Driver-Guide/issues/4
    https://documentation.ubuntu.com/server/how-to/graphics/install-nvidia-drivers/
Limits: when programs fail already, it is `driver-library-mismatch`.
"""

from __future__ import annotations

from bringup.faults._fault import Evidence, Safety, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import picked_library
from bringup.faults.kernel._mismatch import describe_change, disk_version, find_change
from bringup.reading import Known
from bringup.records import replace

IS_AHEAD = True

EXPLAINS = ("container-cdi-stale",)

STEPS = (
    Step("See the version of the loaded module.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    replace(REBOOT, say="Restart at a moment of your choosing."),
)


def check(scene: Scene) -> Evidence | None:
    """The module on the disk differs from the loaded one, and the libraries still fit the loaded one."""
    kernel = scene.stack.kernel
    if not isinstance(kernel.loaded_driver, Known) or scene.lines.has("version mismatch"):
        return None
    loaded = kernel.loaded_driver.value.version
    disk = (
        kernel.disk_module.value.version
        if isinstance(kernel.disk_module, Known)
        else disk_version(kernel.running)
    )
    library = picked_library(scene)
    if disk is None or disk.fits(loaded) or (library is not None and not library.fits(loaded)):
        return None
    change = find_change(scene, disk)
    return Evidence(
        saw=f"loaded module {loaded}, module on the disk {disk}"
        + (f"; {describe_change(change)}" if change else ""),
        expected="the loaded module and the disk of one version",
        sources=(kernel.loaded_driver.source,),
        strength=5,
    )
