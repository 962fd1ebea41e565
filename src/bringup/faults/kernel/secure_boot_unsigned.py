"""Secure Boot refuses the NVIDIA module because its signature is not trusted.

Symptom: "Key was rejected by service", "Required key not available", or "Operation not permitted" beside
    "Lockdown:".
Reason: With Secure Boot on, the kernel loads only modules signed by a key that it trusts. The module was
    built here and signed with a key that nobody enrolled, or not signed at all.
Sources: https://docs.kernel.org/admin-guide/module-signing.html
    https://wiki.ubuntu.com/UEFI/SecureBoot/Signing
    https://github.com/NVIDIA/gpu-driver-container/issues/44
Limits: "module verification failed ... tainting kernel" alone is a note: the module was loaded.
"""

from __future__ import annotations

from bringup.faults._fault import NVIDIA_SMI_WORKS, Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"'?nvidia[\w-]{0,24}(?:\.ko)?'?:? .{0,40}Key was rejected by service",
        anchor="key was rejected by service",
        example="modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
    ),
    Sign(
        r"Key was rejected by service",
        anchor="key was rejected by service",
        example="insmod: ERROR: could not insert module nvidia.ko: Key was rejected by service",
        needs=("nvidia",),
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)nvidia.{0,60}required key not available",
        anchor="required key not available",
        example="modprobe: ERROR: could not insert 'nvidia_drm': Required key not available",
    ),
    Sign(
        r"Lockdown: .{0,40}unsigned module loading is restricted",
        anchor="unsigned module loading is restricted",
        example="Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7",
        needs=("nvidia",),
    ),
    Sign(
        r"Loading of (?:unsigned module|module with unavailable key) is rejected",
        anchor="is rejected",
        example="Loading of module with unavailable key is rejected",
        needs=("nvidia",),
    ),
    Sign(
        r"Secure boot is enabled on this system, so this is likely because it was not signed",
        anchor="secure boot is enabled on this system",
        example="ERROR: The kernel module failed to load. Secure boot is enabled on this system, so"
        " this is likely because it was not signed",
    ),
    Sign(
        r"PKCS#7 signature not signed with a trusted key",
        anchor="pkcs#7 signature not signed",
        example="PKCS#7 signature not signed with a trusted key",
        certainty=Certainty.LIKELY,
        needs=("nvidia-smi has failed",),
        unless=("nvrm:", "nvlink core is being initialized"),
    ),
    Sign(
        r"Required key not available",
        anchor="required key not available",
        example="-> Kernel module load error: Required key not available",
        needs=("nvidia",),
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"not signed by a key that is trusted by the kernel",
        anchor="not signed by a key that is trusted",
        example="ERROR: The kernel module failed to load, because it was not signed by a key that is"
        " trusted by"
        " the kernel.",
    ),
    Sign(
        r"could not insert 'nvidia\w{0,20}': Operation not permitted",
        anchor="operation not permitted",
        example="modprobe: ERROR: could not insert 'nvidia': Operation not permitted",
        needs=("secureboot enabled",),
    ),
)

STORIES = (
    Story(
        (Told.SIGNATURE, Told.DRIVER_SILENT),
        decides="sudo modprobe nvidia: 'Key was rejected' or 'Operation not permitted' is this fault",
        unless=(Told.SIGNATURE_OFF,),
        strength=-1,
    ),
    Story((Told.NVIDIA, Told.KEY_REFUSED), decides="mokutil --list-enrolled"),
    Story((Told.NVIDIA, Told.SIGNATURE, Told.NO_PICTURE), (Told.SIGNATURE_OFF,), "mokutil --sb-state"),
)

OVER = (NVIDIA_SMI_WORKS,)

EXPLAINS = (
    "module-not-loaded",
    "module-missing-for-kernel",
    "nouveau-in-use",
    "uvm-not-loaded",
    "device-nodes-missing",
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step("See whether Secure Boot is on.", ("mokutil", "--sb-state"), Safety.LOOK),
    Step(
        "Ubuntu, and the cheapest: use the modules that Ubuntu signed (package"
        " linux-modules-nvidia-<branch>-generic) "
        "instead of DKMS.",
        touches="packages",
        undo="remove the package and install the former one",
        verify=("modinfo", "-F", "signer", "nvidia"),
        only="ubuntu",
    ),
    Step(
        "Or enrol the key that DKMS signs with; choose a password, restart, and confirm in the blue screen.",
        ("mokutil", "--import", "/var/lib/shim-signed/mok/MOK.der"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="the firmware's list of trusted keys",
        undo="mokutil --delete of the same file",
        asks=True,
        verify=("mokutil", "--list-enrolled"),
    ),
    Step(
        "Or turn Secure Boot off in the firmware setup; what it gives up: anything with root may then"
        " replace the kernel.",
        safety=Safety.RISKY,
        touches="the firmware setup",
        undo="turn it on again",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Secure Boot is on, a module for this kernel lies there, and it is not loaded."""
    kernel = scene.stack.kernel
    running = kernel.running
    if kernel.secure_boot != Known(value=True, source=kernel.secure_boot.source):
        return None
    if running is None or not running.modules or not isinstance(kernel.modules, Known):
        return None
    if any(module.name.startswith("nvidia") for module in kernel.modules.value):
        return None
    info = running.modules[0].info
    is_unsigned = isinstance(info, Known) and not info.value.is_signed
    return Evidence(
        saw="Secure Boot is on, the NVIDIA module is "
        + ("not signed" if is_unsigned else "signed by a key that may not be trusted")
        + " and not loaded",
        expected="a module signed by a key that the firmware trusts",
        sources=(kernel.secure_boot.source, running.modules[0].path),
        certainty=Certainty.SURE if is_unsigned else Certainty.LIKELY,
        decides="" if is_unsigned else "modprobe nvidia",
        strength=10,
    )
