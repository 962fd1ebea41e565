"""Whole made machines, and the command that writes them: `python -m tests.cases._make.machines`.

All are made from knowledge of the real layouts of Ubuntu 24.04, its DKMS and its logs; none was recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cases._make.machine import (
    CLOSED,
    OPEN,
    Made,
    add_card,
    add_dkms,
    add_kernel,
    add_libraries,
    add_modules,
    hold,
    kernel_messages,
    load_driver,
    ubuntu,
)

CASES = Path(__file__).parents[1]
OLD, NEW = "570.169", "570.172.08"
KERNEL, NEXT = "6.8.0-60-generic", "6.8.0-63-generic"

LOADING = (
    "[    6.185709] nvidia: loading out-of-tree module taints kernel.\n"
    "[    6.185716] nvidia: module verification failed: signature and/or required key missing - tainting"
    " kernel\n"
    "[    6.282642] NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build\n"
    "[    6.401120] nvidia-modeset: Loading NVIDIA UNIX Open Kernel Mode Setting Driver for x86_64 "
    " {version}\n"
    "[    6.512003] [drm] Initialized nvidia-drm 0.0.0 for 0000:01:00.0 on minor 1\n"
)


def _upgraded(package: str) -> str:
    return f"{package}:amd64 (570.169-0ubuntu0.24.04.1, 570.172.08-0ubuntu0.24.04.1)"


NIGHT = f"""
Start-Date: 2025-07-12  19:02:44
Commandline: apt install htop
Requested-By: user (1000)
Install: htop:amd64 (3.3.0-4build1)
End-Date: 2025-07-12  19:02:46

Start-Date: 2025-07-15  06:32:11
Commandline: /usr/bin/unattended-upgrade
Upgrade: {", ".join(map(_upgraded, ("libnvidia-compute-570", "nvidia-dkms-570-open", "nvidia-utils-570")))}
End-Date: 2025-07-15  06:34:40
"""

MISMATCH = (
    "[81234.100001] NVRM: API mismatch: the client 'nvidia-smi' (pid 41233)\n"
    "               NVRM: has the version 570.172.08, but this kernel module has\n"
    "               NVRM: the version 570.169.  Please make sure that this\n"
    "               NVRM: kernel module and all NVIDIA driver components\n"
    "               NVRM: have the same version.\n"
)


def healthy(*, version: str = OLD, card: str = "RTX 3080 Ti", running: str = KERNEL) -> Made:
    """Everything of one version, loaded, with a clean log."""
    made = ubuntu(running=running)
    add_card(made, card)
    add_modules(made, KERNEL, version)
    add_dkms(made, version, (KERNEL,))
    add_libraries(made, version)
    load_driver(made, version)
    kernel_messages(made, LOADING.format(version=version))
    return made


def morning() -> Made:
    """The founding machine: libraries and disk upgraded at night, the old module still loaded."""
    made = healthy(version=NEW)
    load_driver(made, OLD)
    made.commands.clear()
    kernel_messages(made, LOADING.format(version=OLD) + MISMATCH)
    made.text("/var/log/apt/history.log", NIGHT)
    hold(made, 1402, "gnome-shell", unit="gdm.service")
    hold(made, 1810, "ollama", unit="ollama.service", device="/dev/nvidia-uvm")
    hold(made, 911, "nvidia-persiste", unit="nvidia-persistenced.service", device="/dev/nvidiactl")
    hold(made, 30211, "llama-server", device="/dev/nvidia-uvm")
    return made


def in_a_container() -> Made:
    """A container with libraries of its own, which sees the host's module in /proc: not the host's fault."""
    made = Made()
    made.text(
        "/etc/os-release", 'PRETTY_NAME="Ubuntu 22.04.4 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
    )
    made.text("/proc/sys/kernel/osrelease", KERNEL + "\n")
    made.folders |= {"/lib", "/usr/lib/x86_64-linux-gnu"}
    add_libraries(made, NEW)
    load_driver(made, OLD, nodes=False)
    return made


def half_upgraded() -> Made:
    """Libraries new, the module on the disk still old: a restart would not cure it."""
    made = healthy(version=OLD)
    for path in [path for path in made.files if "libnvidia-ml.so" in path or "libcuda.so" in path]:
        del made.files[path]
    add_libraries(made, NEW)
    return made


def mounted(made: Made) -> Made:
    """The disk of a machine that does not run: the kernel's own folders are empty."""
    made.files = {path: data for path, data in made.files.items() if not path.startswith(("/proc/", "/sys/"))}
    made.links = {
        path: target for path, target in made.links.items() if not path.startswith(("/proc/", "/sys/"))
    }
    made.folders = {path for path in made.folders if not path.startswith("/sys/")}
    made.devices.clear()
    made.commands.clear()
    return made


def mismatch_and_bare_next_kernel() -> Made:
    """As in the morning, and a newer kernel waits without module and headers."""
    made = morning()
    add_kernel(made, NEXT, headers=False)
    return made


def upgrade_waits() -> Made:
    """The module on the disk is newer; the libraries are still those of the loaded one."""
    made = healthy(version=OLD)
    add_modules(made, KERNEL, NEW)
    return made


def next_kernel_bare() -> Made:
    made = healthy()
    add_kernel(made, NEXT, headers=False)
    return made


def next_kernel_ready() -> Made:
    made = healthy()
    add_kernel(made, NEXT)
    add_modules(made, NEXT, OLD)
    add_dkms(made, OLD, (KERNEL, NEXT))
    return made


def new_kernel_without_module() -> Made:
    """Booted into the new kernel; DKMS could not build, no headers."""
    made = ubuntu(running=NEXT, kernels=(KERNEL,))
    add_kernel(made, NEXT, headers=False)
    add_card(made, "RTX 3080 Ti", driver="nouveau")
    add_modules(made, KERNEL, OLD)
    add_dkms(made, OLD, (KERNEL,))
    add_libraries(made, OLD)
    kernel_messages(made, "[    3.100000] nouveau 0000:01:00.0: NVIDIA GA102 (b72000a1)\n")
    return made


def prebuilt_module_missing() -> Made:
    """Ubuntu's prebuilt modules: the package for the new kernel did not come; headers are there, no DKMS."""
    made = ubuntu(running=NEXT, kernels=(KERNEL, NEXT))
    add_card(made, "RTX 3080 Ti", driver="")
    add_modules(made, KERNEL, OLD, place="kernel/nvidia-570-open", suffix=".ko", is_signed=True)
    add_libraries(made, OLD)
    kernel_messages(made, "")
    return made


def build_failed() -> Made:
    made = ubuntu(running=NEXT, kernels=(KERNEL, NEXT))
    add_card(made, "RTX 3080 Ti", driver="")
    add_modules(made, KERNEL, OLD)
    add_dkms(made, OLD, (KERNEL,), has_failed_log=True)
    add_libraries(made, OLD)
    kernel_messages(made, "")
    return made


def secure_boot(*, is_refused: bool) -> Made:
    """Secure Boot on; the module of DKMS is not signed (refused), or is signed and loaded."""
    made = healthy() if not is_refused else ubuntu()
    made.files["/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"] = (
        b"\x06\x00\x00\x00\x01"
    )
    made.text("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    if is_refused:
        add_card(made, "RTX 3080 Ti", driver="")
        add_libraries(made, OLD)
        add_dkms(made, OLD, (KERNEL,))
        kernel_messages(
            made,
            "[    5.900000] Lockdown: systemd-modules: unsigned module loading is restricted; see man"
            " kernel_lockdown.7\n",
        )
    add_modules(made, KERNEL, OLD, is_signed=not is_refused)
    return made


def nouveau() -> Made:
    """A driver was installed and the machine not restarted; nouveau still has the card."""
    made = ubuntu()
    add_card(made, "RTX 3080 Ti", driver="nouveau")
    add_modules(made, KERNEL, OLD)
    add_dkms(made, OLD, (KERNEL,))
    add_libraries(made, OLD)
    made.text("/proc/modules", "nouveau 3096576 5 - Live 0x0000000000000000\n")
    kernel_messages(
        made,
        "[    3.100000] nouveau 0000:01:00.0: NVIDIA GA102 (b72000a1)\n"
        "[   90.100000] NVRM: GPU 0000:01:00.0 is already bound to nouveau.\n"
        "[   90.100004] NVRM: The NVIDIA probe routine was not called for 1 device(s).\n"
        "[   90.100006] NVRM: No NVIDIA devices probed.\n",
    )
    return made


def blackwell(*, is_open: bool) -> Made:
    """An RTX 5080 with one or the other flavour of driver 570."""
    made = ubuntu()
    add_card(made, "RTX 5080")
    add_modules(made, KERNEL, NEW, licence=OPEN if is_open else CLOSED)
    add_dkms(made, NEW, (KERNEL,))
    add_libraries(made, NEW)
    load_driver(made, NEW, is_open=is_open)
    refusal = (
        "[    5.559842] NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:2c02)\n"
        "               NVRM: installed in this system requires use of the NVIDIA open kernel modules.\n"
        "[    5.559858] NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)\n"
    )
    kernel_messages(made, "" if is_open else refusal)
    return made


def pascal(*, is_open: bool) -> Made:
    """A GTX 1080 Ti with one or the other flavour of driver 570."""
    made = ubuntu()
    add_card(made, "GTX 1080 Ti", driver="" if is_open else "nvidia")
    add_modules(made, KERNEL, NEW, licence=OPEN if is_open else CLOSED)
    add_dkms(made, NEW, (KERNEL,))
    add_libraries(made, NEW)
    if is_open:
        kernel_messages(
            made,
            "[    4.046099] NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1b06)\n"
            "               NVRM: installed in this system is not supported by open\n"
            "               NVRM: nvidia.ko because it does not include the required GPU\n"
            "               NVRM: System Processor (GSP).\n"
            "[    4.046200] NVRM: None of the NVIDIA devices were initialized.\n",
        )
    else:
        load_driver(made, NEW, is_open=False)
        kernel_messages(made, "")
    return made


def too_new_branch() -> Made:
    """A GTX 1080 Ti and driver 595, which dropped it."""
    made = ubuntu()
    add_card(made, "GTX 1080 Ti", driver="")
    add_modules(made, KERNEL, "595.84", licence=CLOSED)
    add_libraries(made, "595.84")
    kernel_messages(
        made,
        "[    4.1] NVRM: The NVIDIA GeForce GTX 1080 Ti GPU installed in this system is\n"
        "               NVRM:  supported through the NVIDIA 580.xx Legacy drivers. Please\n"
        "               NVRM:  visit http://www.nvidia.com/object/unix.html for more\n"
        "               NVRM:  information.  The 595.84 NVIDIA driver will ignore\n"
        "               NVRM:  this GPU.  Continuing probe...\n",
    )
    return made


def blacklisted() -> Made:
    """Everything is there, and a line of modprobe.d keeps nvidia away."""
    made = healthy()
    made.text("/etc/modprobe.d/no-nvidia.conf", "blacklist nvidia\nblacklist nvidia_drm\n")
    return _unload(made)


def _unload(made: Made) -> Made:
    del made.files["/proc/driver/nvidia/version"]
    made.devices.clear()
    made.text("/proc/modules", "ext4 1040384 1 - Live 0x0000000000000000\n")
    del made.links["/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/driver"]
    made.commands.clear()
    kernel_messages(made, "")
    return made


def prime_off() -> Made:
    """A laptop on its integrated graphics: prime-select sent nvidia nowhere."""
    made = _unload(healthy(card="RTX 3070 Mobile"))
    made.text(
        "/lib/modprobe.d/blacklist-nvidia.conf", "blacklist nvidia\nalias nvidia off\nalias nvidia_drm off\n"
    )
    return made


def for_a_virtual_machine() -> Made:
    made = _unload(healthy())
    add_card(made, "RTX 3080 Ti", driver="vfio-pci")
    made.text("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2208,10de:1aef\n")
    return made


def fallen_off() -> Made:
    """Xid 79 under load."""
    made = healthy()
    made.commands.clear()
    kernel_messages(
        made,
        LOADING.format(version=OLD)
        + "[ 9001.1] NVRM: GPU at PCI:0000:01:00: GPU-00000000-0000-0000-0000-000000000000\n"
        "[ 9001.1] NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off"
        " the bus.\n"
        "[ 9001.1] NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.\n"
        "[ 9001.2] NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x2"
        " (Node Reboot Required)\n",
    )
    return made


def no_card() -> Made:
    """A driver is installed and the bus holds no card."""
    made = ubuntu()
    add_modules(made, KERNEL, OLD)
    add_libraries(made, OLD)
    made.text("/sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n")
    made.text("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n")
    made.text("/sys/bus/pci/devices/0000:00:02.0/device", "0x4680\n")
    kernel_messages(made, "[    4.1] NVRM: No NVIDIA GPU found.\n")
    return made


def no_card_no_driver() -> Made:
    """A machine that never had an NVIDIA card: nothing to say."""
    made = ubuntu()
    made.text("/sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n")
    made.text("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n")
    made.text("/sys/bus/pci/devices/0000:00:02.0/device", "0x4680\n")
    kernel_messages(made, "")
    return made


def one_lane() -> Made:
    made = healthy()
    add_card(made, "RTX 3080 Ti", lanes=1)
    return made


def no_window() -> Made:
    """Above 4G decoding is off: the large window has no address."""
    made = healthy()
    resource = "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/resource"
    made.text(
        resource,
        "0x00000000a0000000 0x00000000a0ffffff 0x0000000000040200\n"
        "0x0000000000000000 0x00000003ffffffff 0x000000002014220c\n"
        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
        "0x0000004400000000 0x0000004401ffffff 0x000000000014220c\n",
    )
    made.commands.clear()
    kernel_messages(
        made,
        "[    4.046] NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:\n"
        "              NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)\n",
    )
    return made


def closed_nodes() -> Made:
    """Device files for a group that this user is not in."""
    made = healthy()
    made.devices = {path: (0o660, 986) for path in made.devices}
    return made


def open_group_nodes() -> Made:
    """The same mode with a group that this user is in (44, video)."""
    made = healthy()
    made.devices = {path: (0o660, 44) for path in made.devices}
    return made


def no_nodes() -> Made:
    made = healthy()
    made.devices.clear()
    return made


def after_sleep() -> Made:
    """A laptop after sleep: the driver refused to save its memory without the suspend services."""
    made = healthy(card="RTX 3070 Mobile")
    made.commands.clear()
    kernel_messages(
        made,
        LOADING.format(version=OLD) + "[ 700.1] PM: suspend entry (deep)\n"
        "[ 700.2] NVRM: GPU 0000:01:00.0: PreserveVideoMemoryAllocations module parameter is set. System"
        " Power "
        "Management attempted without driver procfs suspend interface. Please refer to the 'Configuring"
        " Power "
        "Management Support' section in the driver README.\n"
        "[ 790.3] PM: suspend exit\n",
    )
    return made


def slept_well() -> Made:
    """The same laptop, which slept and woke without trouble."""
    made = healthy(card="RTX 3070 Mobile")
    made.commands.clear()
    kernel_messages(
        made, LOADING.format(version=OLD) + "[ 700.1] PM: suspend entry (deep)\n[ 790.3] PM: suspend exit\n"
    )
    return made


MACHINES: dict[str, tuple[Callable[[], Made], tuple[str, ...], tuple[str, ...]]] = {
    "driver-library-mismatch/morning": (morning, ("driver-library-mismatch",), ()),
    "driver-library-mismatch/half-upgraded": (half_upgraded, ("driver-library-mismatch",), ()),
    "driver-library-mismatch/next-kernel-bare": (
        mismatch_and_bare_next_kernel, ("driver-library-mismatch", "module-missing-for-next-kernel"), ()),
    "driver-library-mismatch/after-the-reboot": (lambda: healthy(version=NEW), (), ()),
    "driver-library-mismatch/mounted-disk": (
        lambda: mounted(half_upgraded()), ("driver-library-mismatch",), ()),
    "driver-library-mismatch/mounted-disk-in-order": (lambda: mounted(healthy()), (), ()),
    "module-missing-for-next-kernel/mounted-disk": (
        lambda: mounted(next_kernel_bare()), ("module-missing-for-next-kernel",), ()),
    "driver-library-mismatch/in-a-container": (in_a_container, (), ()),
    "driver-upgrade-awaits-reboot/disk-newer": (upgrade_waits, ("driver-upgrade-awaits-reboot",), ()),
    "driver-upgrade-awaits-reboot/same-version": (healthy, (), ()),
    "module-missing-for-next-kernel/bare": (next_kernel_bare, ("module-missing-for-next-kernel",), ()),
    "module-missing-for-next-kernel/ready": (next_kernel_ready, (), ()),
    "module-missing-for-kernel/prebuilt": (prebuilt_module_missing, ("module-missing-for-kernel",), ()),
    "kernel-headers-missing/new-kernel": (
        new_kernel_without_module,
        ("kernel-headers-missing",),
        ("module-missing-for-kernel", "nouveau-in-use"),
    ),
    "dkms-build-failed/log-left": (build_failed, ("dkms-build-failed",), ("module-missing-for-kernel",)),
    "secure-boot-unsigned/unsigned": (
        lambda: secure_boot(is_refused=True), ("secure-boot-unsigned",), ("module-not-loaded",)),
    "secure-boot-unsigned/signed-and-loaded": (lambda: secure_boot(is_refused=False), (), ()),
    "nouveau-in-use/before-the-reboot": (nouveau, ("nouveau-in-use",), ()),
    "open-module-required/rtx-50-proprietary": (
        lambda: blackwell(is_open=False), ("open-module-required",), ()),
    "open-module-required/rtx-50-open": (lambda: blackwell(is_open=True), (), ()),
    "open-module-unsupported/pascal-open": (lambda: pascal(is_open=True), ("open-module-unsupported",), ()),
    "open-module-unsupported/pascal-proprietary": (lambda: pascal(is_open=False), (), ()),
    "gpu-too-old-for-driver/pascal-on-595": (too_new_branch, ("gpu-too-old-for-driver",), ()),
    "module-not-loaded/blacklisted": (blacklisted, ("module-not-loaded",), ()),
    "gpu-powered-off/prime-off": (prime_off, ("gpu-powered-off",), ("module-not-loaded",)),
    "pci-passthrough-bound/for-a-virtual-machine": (for_a_virtual_machine, ("pci-passthrough-bound",), ()),
    "gpu-fell-off-bus/under-load": (fallen_off, ("gpu-fell-off-bus",), ("gpu-hung-or-needs-reset",)),
    "gpu-not-on-bus/driver-without-card": (no_card, ("gpu-not-on-bus",), ()),
    "gpu-not-on-bus/never-had-one": (no_card_no_driver, (), ()),
    "pcie-link-degraded/one-lane": (one_lane, ("pcie-link-degraded",), ()),
    "pcie-link-degraded/idle-at-gen1": (healthy, (), ()),
    "pci-bar-unassigned/no-window": (no_window, ("pci-bar-unassigned",), ()),
    "device-node-permission/foreign-group": (closed_nodes, ("device-node-permission",), ()),
    "device-node-permission/own-group": (open_group_nodes, (), ()),
    "device-nodes-missing/loaded-without-files": (no_nodes, ("device-nodes-missing",), ()),
    "lost-after-suspend/laptop": (after_sleep, ("lost-after-suspend",), ()),
    "lost-after-suspend/slept-well": (slept_well, (), ()),
}  # fmt: skip


def write_all(folder: Path) -> None:
    """Write every machine below a folder."""
    for name, (make, expected, follows) in MACHINES.items():
        make().write(folder / name, origin="made", expected=expected, follows=follows)


if __name__ == "__main__":
    write_all(CASES)
