"""The NVIDIA module does not compile for this kernel.

Symptom: DKMS reports "Bad return status for module build" and make.log shows errors in the driver's own
    sources.
Reason: This driver version does not know the interfaces of this (newer) kernel, or the compiler is not the
    one that built the kernel. Headers are there; reinstalling them changes nothing.
Sources: https://github.com/Frogging-Family/nvidia-all/issues/379
    https://github.com/clearlinux/distribution/issues/1970
    https://github.com/OpenMandrivaAssociation/distribution/issues/2076
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/526
Limits: the last lines of make.log only say that it failed; the first "error:" line says why.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"Compiler version check failed",
        anchor="compiler version check failed",
        example="Compiler version check failed:",
        needs=("nvidia",),
    ),
    Sign(
        r"(?:nvidia|nv-|nv_uvm|uvm_|os-interface|conftest|nvlink)[\w./-]{0,120}\.[ch]:\d{1,10}(?::\d{1,10})?:"
        r" (?:fatal )?error:",
        anchor="error:",
        example="/var/lib/dkms/nvidia/375.26/build/common/inc/nv-mm.h:86:20: error: too few arguments"
        " to function",
    ),
    Sign(
        r"(?i)bad return status for module build on kernel",
        anchor="bad return status for module build",
        example="Error! Bad return status for module build on kernel: 6.4.1-zen1-1-zen (x86_64)",
        needs=("nvidia",),
    ),
    Sign(
        r"dkms (?:auto)?install .{0,120}(?:exited|failed for nvidia\S{0,30}\() ?10",
        anchor="dkms ",
        example="==> WARNING: `dkms install --no-depmod nvidia/470.256.02 -k 6.14.4-arch1-2' exited 10",
        needs=("nvidia",),
    ),
    Sign(
        r"GPL-incompatible module nvidia\S{0,20} uses GPL-only symbol",
        anchor="gpl-incompatible module nvidia",
        example="ERROR: modpost: GPL-incompatible module nvidia.ko uses GPL-only symbol '__rcu_read_lock'",
    ),
    Sign(
        r"modpost: .{0,120}\[\S{0,80}nvidia\S{0,40}\.ko\] undefined",
        anchor="undefined",
        example='ERROR: modpost: "follow_pfn" [/var/lib/dkms/nvidia/550.67/build/nvidia.ko] undefined!',
    ),
    Sign(
        r"An error occurred while performing the step: .Building kernel modules|Error! Build of"
        r" nvidia\S{0,20}\.ko failed",
        anchor="build",
        example='ERROR: An error occurred while performing the step: "Building kernel modules". See'
        " /var/log/nvidia-installer.log",
    ),
    Sign(
        r"DKMS module 'nvidia\S{0,40}' failed to build|nvidia\S{0,60} kernel module failed to build",
        anchor="failed to build",
        example="DKMS module 'nvidia-367.35' failed to build, please check /var/lib/dkms",
    ),
    Sign(
        r"nvidia-(?:dkms|kernel)\S{0,30}.{0,80}subprocess returned error exit status 10",
        anchor="error exit status 10",
        example="installed nvidia-dkms-535 package post-installation script subprocess returned error"
        " exit status 10",
    ),
    Sign(
        r"make.{0,12}\*\*\* .{0,120}/dkms/nvidia\S{0,80}\] [^\W\d]{2,12} \d",  # "Error", translated
        anchor="/dkms/nvidia",
        example="make[1]: *** [Makefile:2024: /var/lib/dkms/nvidia/390.157/build] Error 2",
    ),
    Sign(
        r"Unable to find the development tool [`'](?:cc|make|gcc)",
        anchor="unable to find the development tool",
        example="ERROR: Unable to find the development tool `cc` in your path; please make sure that"
        " you have the package 'gcc' installed.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"/akmods/nvidia\S{0,120}\.failed\.log",
        anchor="/akmods/nvidia",
        example="Building rpms failed; see /var/cache/akmods/nvidia/550.78-1-for-6.9.4.failed.log for"
        " details",
    ),
    Sign(
        r"unrecognized command.line option .{0,3}-(?:f(?:trivial-auto-var-init|min-function-alignment"
        r"|zero-init|zero-call-used-regs|conserve-stack)|m(?:harden-sls|indirect-branch|function-return"
        r"|record-mcount|stack-protector-guard))",
        anchor="unrecognized command",
        example="cc: error: unrecognized command-line option '-ftrivial-auto-var-init=zero'",
        needs=("nvidia",),
    ),
    Sign(
        r"(?:nvidia|nv-|uvm_|os-interface)[\w./-]{0,120}\.c:\d{1,10}:\d{1,10}: "
        r"(?:错误|Fehler|erreur|ошибка|erro|エラー)",
        anchor=".c:",
        example="nvidia-uvm/uvm_pmm_gpu.c:2631:5: 错误：隐式声明函数",  # noqa: RUF001 - as printed
    ),
    Sign(
        r"\*\*\* \[.{0,200}/nvidia(?:-(?:uvm|drm|modeset|peermem))?/[\w.-]{1,60}\.o\] Error \d",
        anchor="] error ",
        example="make[5]: *** [scripts/Makefile.build:243:"
        " /build/source/kernel-open/nvidia/libspdm_shash.o] Error 1",
    ),
    Sign(
        r"builder for '/nix/store/\S{1,100}nvidia\S{1,80}\.drv' failed",
        anchor="builder for '",
        example="error: builder for '/nix/store/abc-nvidia-open-6.7-545.29.02.drv' failed with exit code 2;",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)unable to build the NVIDIA kernel module|nvidia kernel module was not created",
        anchor="nvidia kernel module",
        example="ERROR: Unable to build the NVIDIA kernel module.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)fail(?:ed|ure)? (?:to build|building) .{0,30}nvidia\S{0,20} (?:kernel )?(?:module|dkms|kmod)",
        anchor="nvidia",
        example="Failed to build nvidia kernel module for 6.17.4",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)autoinstall on \S{1,80} failed for .{0,80}\bnvidia",
        anchor="autoinstall on ",
        example="Autoinstall on 6.14.0-15-generic failed for module(s) nvidia(10).",
    ),
    Sign(
        r"module nvidia\S{0,40} includes a BUILD_EXCLUSIVE",
        anchor="includes a build_exclusive",
        example="for module nvidia/390.157 includes a BUILD_EXCLUSIVE directive",
    ),
    Sign(
        r"/dkms/nvidia\S{0,80}/dkms\.conf does not exist|Directory: /usr/src/nvidia-\S{1,60} does not exist",
        anchor=" does not exist",
        example="File: /var/lib/dkms/nvidia/470.57.02/source/dkms.conf does not exist.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Failed to run [`']\S{0,60}dkms (?:build|install) -m nvidia|Failed to install the kernel module"
        r" through DKMS",
        anchor="failed to ",
        example="ERROR: Failed to run `/usr/sbin/dkms build -m nvidia -v 535.129.03 -k 6.5.0-14-generic`:",
    ),
    Sign(
        r"(?i)\bCC version check failed|failed CC version check",
        anchor="version check",
        example="WARNING: The CC version check failed:",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Building and installing nvidia\S{0,40}kmod\S{0,20}.{0,40}\[\s{0,4}FAILED",
        anchor="building and installing nvidia",
        example="Building and installing nvidia-kmod                        [FAILED]",
    ),
    Sign(
        r"Building DKMS module 'nvidia\S{0,40}' for .{1,80} FAILED",
        anchor="building dkms module 'nvidia",
        example="Building DKMS module 'nvidia-367.35' for kernel-4.7.2_1... FAILED!",
    ),
    Sign(
        r"(?i)\berror: .{0,80}\bkmod-nvidia|is needed by (?:kmod-nvidia|nvidia-kmod)",
        anchor="nvidia",
        example="	gcc-c++ is needed by nvidia-kmod-3:590.48.01-1.fc43.x86_64",
        certainty=Certainty.LIKELY,
        unless=("nothing provides", "none of the providers"),
    ),
    Sign(
        r"^\s{1,80}\[FAILED\]\s{0,8}$",
        anchor="[failed]",
        example="                                   [FAILED]",
        certainty=Certainty.LIKELY,
        needs=("nvidia-linux-x86_64",),
    ),
)

STORIES = (
    Story(
        (Told.NVIDIA, Told.MODULE, Told.KERNEL_CHANGED, Told.BUILD_FAILED),
        decides="dkms status",
        strength=-1,
    ),
    Story((Told.DRIVER_SILENT, Told.BUILD_FAILED), decides="dkms status", strength=-1),
    Story((Told.NVIDIA, Told.DKMS_FAILED), decides="dkms status"),
    Story((Told.MODULE_REFUSED,), decides="tail -n 60 /var/log/nvidia-installer.log", strength=-4),
    Story((Told.MODULE, Told.BUILD_FAILED, Told.DRIVER_SILENT), decides="dkms status"),
)

EXPLAINS = (
    "module-missing-for-kernel",
    "module-missing-for-next-kernel",
    "module-not-loaded",
    "package-state-broken",
    "driver-not-installed",
    "driver-library-mismatch",
)

STEPS = (
    Step("See which module failed for which kernel.", ("dkms", "status"), Safety.LOOK),
    Step("Read make.log under /var/lib/dkms from its first line with 'error:'.", safety=Safety.LOOK),
    Step(
        "Start the previous kernel from the boot menu: its module is still there.",
        safety=Safety.DISRUPTIVE,
        touches="nothing on the disk",
        verify=("nvidia-smi",),
        undo="start the newer kernel again",
    ),
    Step(
        "Take a driver version that supports this kernel, or stay on the previous kernel until there is one.",
        touches="packages",
        verify=("dkms", "status"),
        undo="install the former version again",
    ),
    Step(
        "Compiler mismatch: build with the compiler that built the kernel (see /proc/version).",
        touches="one compiler package, the module that is built",
        undo="build it again with the former compiler",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """No module for the running kernel, headers there, and an unfinished build with its log."""
    kernel = scene.stack.kernel
    running = kernel.running
    if running is None or running.modules or not isinstance(kernel.dkms, Known):
        return None
    failed = [module for module in kernel.dkms.value if module.has_failed_log]
    if not failed or running.has_headers != Known(value=True, source=running.has_headers.source):
        return None
    return Evidence(
        saw=f"DKMS began {failed[0].name} {failed[0].version}, and {running.release} has no module",
        expected="the state installed for the running kernel",
        sources=(kernel.dkms.source,),
        certainty=Certainty.LIKELY,
        decides=f"less /var/lib/dkms/{failed[0].name}/{failed[0].version}/build/make.log",
        strength=10,
    )
