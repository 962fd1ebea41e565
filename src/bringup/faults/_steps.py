"""Steps that faults of several layers share; one that fits with other words is a copy with these in it."""

from __future__ import annotations

from typing import Final

from bringup.faults._fault import Safety, Step

REBOOT: Final = Step(
    "Restart the machine.",
    ("systemctl", "reboot"),
    Safety.DISRUPTIVE,
    needs_root=True,
    touches="all running programs: they end",
    undo="none needed",
    verify=("nvidia-smi",),
)
LOAD: Final = Step(
    "Load the module.",
    ("modprobe", "nvidia"),
    needs_root=True,
    undo="modprobe -r nvidia",
    touches="the running kernel",
    verify=("nvidia-smi",),
)
LOAD_UVM: Final = Step(
    "Load it again.",
    ("modprobe", "nvidia_uvm"),
    needs_root=True,
    undo="modprobe -r nvidia_uvm",
    touches="the running kernel",
    verify=("ls", "-l", "/dev/nvidia-uvm"),
)
UNLOAD_UVM: Final = Step(
    "Unload the memory module; it is refused while a program uses it, so stop those first.",
    ("modprobe", "-r", "nvidia_uvm"),
    Safety.DISRUPTIVE,
    needs_root=True,
    undo="modprobe nvidia_uvm",
    touches="the running kernel; CUDA programs end",
)
BUILD: Final = Step(
    "Build and install the module for the running kernel.",
    ("dkms", "autoinstall"),
    needs_root=True,
    touches="/lib/modules of the running kernel",
    undo="dkms uninstall of the same module and version",
    verify=("dkms", "status"),
)
LIST_LIBRARIES: Final = Step(
    "Then make the loader's list anew.",
    ("ldconfig",),
    needs_root=True,
    touches="the loader's cache",
    undo="none needed: it only lists what is there",
    verify=("ldconfig", "-p"),
)
