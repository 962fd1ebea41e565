"""The kernel headers are not installed, so the NVIDIA module cannot be built.

Symptom: DKMS says "Your kernel headers for kernel ... cannot be found", the installer finds no kernel
    source tree.
Reason: The module is compiled on this machine against the headers of exactly the running kernel, and these
    are absent. A new kernel came without its headers package.
Sources: https://github.com/dkms-project/dkms
    https://download.nvidia.com/XFree86/Linux-x86_64/435.17/README/installdriver.html
Limits: distributions with prebuilt modules need no headers.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import BUILD, LOAD
from bringup.faults.kernel._steps import build_step, headers_step
from bringup.reading import Known
from bringup.stack.listings import listed_kernels
from bringup.stack.told import Told

_OTHER_MODULES = (
    "virtualbox",
    "vboxdrv",
    "wireguard",
    "vmware",
    "zfs",
    "rtl8",
    "displaylink",
    "v4l2loopback",
    "evdi",
)
"""Words of other modules that are built against the headers too: whose build failed is not told then."""

SIGNS = (
    Sign(
        r"(?i)kernel headers for kernel \S{1,80} (?:cannot|can't|could not) be found",
        anchor="kernel headers for kernel",
        example="Error! Your kernel headers for kernel 6.8.0-60-generic cannot be found at"
        " /lib/modules/6.8.0-60-generic/build",
    ),
    Sign(
        r"since the kernel headers for this kernel do(?:es)? not seem to be installed",
        anchor="kernel headers for this kernel",
        example="Module build for kernel 6.1.0-18-amd64 was skipped since the kernel headers for this"
        " kernel does not seem to be installed.",
    ),
    Sign(
        r"Unable to find the kernel source tree",
        anchor="unable to find the kernel source tree",
        example="ERROR: Unable to find the kernel source tree for the currently running kernel.",
    ),
    Sign(
        r"Missing \S{1,80} kernel headers for module nvidia",
        anchor="kernel headers for module nvidia",
        example="==> ERROR: Missing 6.9.3-arch1-1 kernel headers for module nvidia/550.78.",
    ),
    Sign(
        r"(?i)(?:kernel[- ]headers?|kernel-devel)\b.{0,60}(?:not (?:be )?(?:found|installed)|missing|no"
        r" such file)",
        anchor="kernel",
        example="Skipping kernel-4.0.9_1. kernel-headers package not installed...",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
        unless=("failed to build",),
    ),
    Sign(
        r"/lib/modules/\S{1,80}/(?:build|source)\S{0,40}: No such file or directory",
        anchor="no such file or directory",
        example="make: *** /lib/modules/6.1.0-18-amd64/build: No such file or directory.  Stop.",
        needs=("nvidia",),
    ),
    Sign(
        r"(?:Unable to locate package|Couldn't find any package by (?:glob|regex)) '?linux-headers-",
        anchor="linux-headers-",
        example="E: Unable to locate package linux-headers-5.15.0-1057-azure",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"(?:No package|No match for argument:?|Unable to find a match:|filtering for argument:)"
        r" kernel-(?:devel|headers)\b",
        anchor="kernel-",
        example="No match for argument: kernel-devel-5.14.0-362.8.1.el9_3.x86_64",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"Module build for kernel \S{1,80} was skipped since the",
        anchor="was skipped since the",
        example="Module build for kernel 6.5.0-1022-azure was skipped since the",
        needs=("nvidia",),
    ),
    Sign(
        r"Could not find files needed to compile modules for",
        anchor="could not find files needed to compile",
        example="Could not find files needed to compile modules for 6.8.9-300.fc40.x86_64.",
    ),
    Sign(
        r"(?:generated|linux)/autoconf\.h\b.{0,60}(?:No such file|not found|are missing)",
        anchor="/autoconf.h",
        example="././include/linux/kconfig.h:5:10: fatal error: generated/autoconf.h: No such file or"
        " directory",
        needs=("nvidia",),
    ),
    Sign(
        r"Could not resolve Linux kernel version",
        anchor="could not resolve linux kernel version",
        example="Could not resolve Linux kernel version",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"kernel header file .{0,140} does not exist",
        anchor="kernel header file",
        example="ERROR: The kernel header file '/lib/modules/6.1.0/build/include/linux/kernel.h' does not"
        " exist.",
    ),
    Sign(
        r"/lib/modules/[^ ]{1,80}/build['`]?: No such file or directory",
        anchor="/lib/modules/",
        example="make: *** /lib/modules/5.15.0-91-generic/build: No such file or directory.  Stop.",
        unless=_OTHER_MODULES,
    ),
    Sign(
        r"(?i)kernel headers (?:are |is )?not installed|install the .{0,3}kernel-devel",
        anchor="kernel",
        example="You may need to install the kernel-devel package for the running kernel.",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"Unable to locate package linux-headers-|find any package by (?:glob|regex) 'linux-headers-",
        anchor="linux-headers-",
        example="E: Unable to locate package linux-headers-6.8.0-31-generic",
        certainty=Certainty.LIKELY,
        unless=_OTHER_MODULES,
    ),
    Sign(
        r"No provider of 'kernel-\S{0,30}devel",
        anchor="no provider of 'kernel-",
        example="No provider of 'kernel-default-devel = 6.4.0-150600.23' found.",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"target not found: linux[\w-]{0,20}-headers",
        anchor="target not found: linux",
        example="error: target not found: linux-lts-headers",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"Are the development files for kernel|kernel source path '\S{1,140}' is invalid",
        anchor="kernel",
        example="ERROR: The kernel source path '/lib/modules/6.1.0/build' is invalid.",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (Story((Told.MODULE, Told.HEADERS), decides="dkms status", strength=-1),)

EXPLAINS = (
    "dkms-build-failed",
    "module-missing-for-kernel",
    "module-missing-for-next-kernel",
    "module-not-loaded",
    "package-state-broken",
    "driver-not-installed",
)

STEPS = (
    Step("See which kernel runs.", ("uname", "-r"), Safety.LOOK),
    Step(
        "Ubuntu: install the headers of its standard kernel (Debian: linux-headers-amd64; Fedora and Red Hat:"
        " kernel-devel; Arch: linux-headers).",
        ("apt-get", "install", "linux-headers-generic"),
        Safety.SAFE,
        needs_root=True,
        touches="packages",
        undo="remove the same package",
        verify=("dkms", "status"),
    ),
    BUILD,
    LOAD,
)


def check(scene: Scene) -> Evidence | None:
    """No module for the running kernel, DKMS holds a driver, and the headers are absent."""
    return _by_facts(scene) or _by_listing(scene) or _by_package_tool(scene)


_REFUSALS = (
    (
        r"filtering for argument: kernel-(?:devel|headers)\b",
        "filtering for argument: kernel-",
        Step(
            "dnf's configuration leaves the kernel's packages out (exclude=): install the headers in spite"
            " of it.",
            ("dnf", "install", "kernel-devel", "--disableexcludes=all"),
            Safety.SAFE,
            needs_root=True,
            touches="packages",
            undo="remove the same package",
            verify=("dkms", "status"),
        ),
    ),
    (
        r"(?i)(?:Unable to locate package|find any package by (?:glob|regex)) '?linux-headers-\d",
        "linux-headers-",
        Step(
            "The archive has no headers for the running kernel any more: upgrade the kernel and its headers"
            " together, then restart into it.",
            touches="packages, the kernel of the next start",
            safety=Safety.DISRUPTIVE,
            undo="start the former kernel from the boot menu",
            verify=("uname", "-r"),
        ),
    ),
    (
        r"(?i)(?:No match for argument:?|Unable to find a match:|No package) kernel-(?:devel|headers)-\d",
        "kernel-",
        Step(
            "The repositories have no headers for the running kernel any more: upgrade the kernel and its"
            " headers together, then restart into it.",
            touches="packages, the kernel of the next start",
            safety=Safety.DISRUPTIVE,
            undo="start the former kernel from the boot menu",
            verify=("uname", "-r"),
        ),
    ),
)
"""Why a package tool gave no headers, and what stands in the place of asking it again."""


def _by_package_tool(scene: Scene) -> Evidence | None:
    """A package tool that was asked for headers and says why it has none: asking it again cures nothing."""
    if not scene.lines.has("nvidia") or any(scene.lines.has(name) for name in _OTHER_MODULES):
        return None
    is_told = scene.lines.has("kernel headers for kernel") or scene.lines.has(
        "kernel headers for this kernel"
    )
    for pattern, anchor, step in _REFUSALS:
        line = scene.lines.first_like(pattern, anchor=anchor)
        if line is not None:
            look, _, *rest = STEPS
            return Evidence(
                saw=line.text.strip()[:300],
                expected="the headers of the running kernel",
                sources=(f"{line.source}, line {line.number}",),
                certainty=Certainty.SURE if is_told else Certainty.LIKELY,
                decides="" if is_told else "uname -r",
                steps=(look, step, *rest),
            )
    return None


def _by_listing(scene: Scene) -> Evidence | None:
    """A list of packages whose headers are of other versions than all its kernels."""
    kernels, headers, line = listed_kernels(scene.lines)
    if line is None or not kernels or set(kernels) & set(headers):
        return None
    return Evidence(
        saw=f"kernel {kernels[-1]} is installed, kernel-devel {headers[-1]}",
        expected="kernel-devel of the same version",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.LIKELY,
        decides="uname -r",
    )


def _by_facts(scene: Scene) -> Evidence | None:
    kernel = scene.stack.kernel
    running = kernel.running
    if running is None or running.modules or not isinstance(kernel.dkms, Known) or not kernel.dkms.value:
        return None
    if not isinstance(running.has_headers, Known) or running.has_headers.value:
        return None
    return Evidence(
        saw=f"DKMS holds {kernel.dkms.value[0].name}, the running kernel {running.release} has no headers",
        expected=f"headers below {running.has_headers.source}",
        sources=(running.has_headers.source, kernel.dkms.source),
        steps=(headers_step(scene, running.release), build_step(running.release), LOAD),
        strength=10,
    )
