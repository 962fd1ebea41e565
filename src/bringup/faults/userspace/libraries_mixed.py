"""Driver libraries of several versions lie on the disk and the wrong one is picked.

Symptom: "Driver/library version mismatch" that survives a reboot, or "Function Not Found" from NVML.
Reason: two installers put driver libraries on one system (a runfile and packages, two repositories, a profile
    of Nix or conda), or an upgrade left old files behind. The loader takes the first it finds, not the one
    that fits the module.
Sources: https://github.com/NVIDIA/nvidia-docker/issues/584
    https://github.com/NixOS/nixpkgs/issues/138943
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import LIST_LIBRARIES
from bringup.faults.userspace._driver import is_container_text, libraries, module_version
from bringup.patterns import regex
from bringup.reading import Known
from bringup.records import replace
from bringup.stack.listings import listed_libraries

SIGNS = (
    Sign(
        r"(?i)failed to initialize nvml: (?:function not found|symbol not found)",
        anchor="failed to initialize nvml",
        example="Failed to initialize NVML: Function Not Found",
    ),
    Sign(
        r"(?i)an alternate method of installing the nvidia driver was detected|"
        r"appears to have been installed (?:previously )?using a different",
        anchor="install",
        example="The NVIDIA driver appears to have been installed previously using a different installer.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)/sbin/ldconfig\S{0,6}: .{0,80}lib(?:nvidia-ml|cuda)\.so\S{0,8} is not a symbolic link",
        anchor="is not a symbolic link",
        example="/sbin/ldconfig.real: /usr/lib/libnvidia-ml.so.1 is not a symbolic link",
        certainty=Certainty.LIKELY,
        unless=("/usr/lib/wsl",),
    ),
)

EXPLAINS = (
    "no-visible-device",
    "running-on-cpu",
    "cuda-compat-mismatch",
)

STEPS = (
    Step("See which library the loader picks.", ("ldconfig", "-p"), Safety.LOOK),
    Step("See the version of the loaded module.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    Step(
        "If a runfile was used: let it take its files away, then install one version from packages again.",
        ("nvidia-uninstall",),
        Safety.RISKY,
        needs_root=True,
        touches="all files that the runfile put there; no driver until the next step",
        undo="run the same runfile again",
        asks=True,
        verify=("nvidia-smi",),
    ),
    Step(
        "Remove the stray copy (a profile's driver package, an old file that no package owns).",
        safety=Safety.RISKY,
        touches="files of one driver version",
        undo="move the files aside instead of deleting them, and move them back",
    ),
    replace(LIST_LIBRARIES, verify=("nvidia-smi",)),
    Step(
        "Keep one source from now on: packages of the distribution, or NVIDIA's repository, never both and "
        "no runfile.",
        safety=Safety.SAFE,
        touches="package sources",
        undo="none needed",
    ),
)

_PROFILES = regex(r"/(?:nix/var/nix/profiles|nix/store|home/|opt/conda|miniconda|anaconda|\.nix-profile)")


def check(scene: Scene) -> Evidence | None:
    """The loader takes a library that does not fit while another on the disk would, or two that differ."""
    return _by_files(scene) or _by_profile(scene) or _by_listing(scene)


def _by_files(scene: Scene) -> Evidence | None:
    found, loaded = libraries(scene), module_version(scene)
    taken = [one for one in found if one.is_picked]
    others = [
        one for one in found if not one.is_picked and not any(one.version.fits(t.version) for t in taken)
    ]
    if not taken or scene.stack.container.is_wsl:
        return None
    unequal = [one for one in taken if not one.version.fits(taken[0].version)]
    wrong = [one for one in taken if loaded is not None and not one.version.fits(loaded)]
    right = [one for one in others if loaded is not None and one.version.fits(loaded)]
    if not unequal and not (wrong and right):
        return None
    seen = (*wrong, *right) if wrong and right else (taken[0], *unequal)
    runfile = scene.stack.userspace.runfile
    installer = f"; {runfile.value.uninstaller} is there" if isinstance(runfile, Known) else ""
    return Evidence(
        saw=f"module {loaded or 'unknown'}; " + ", ".join(one.path for one in seen) + installer,
        expected="driver libraries of one version, that of the module",
        sources=tuple(one.path for one in seen),
        strength=12,
    )


def _by_profile(scene: Scene) -> Evidence | None:
    """The tool that speaks of a mismatch comes from a profile of its own (Nix, conda)."""
    if not scene.lines.has("version mismatch"):
        return None
    for line in scene.lines.with_anchor("nvidia-smi"):
        if _PROFILES.search(line.text) and "nvidia-x11" in line.text:
            where = (f"{line.source}, line {line.number}",)
            return Evidence(line.text.strip()[:200], "nvidia-smi of the system's driver", where, strength=12)
    return None


def _by_listing(scene: Scene) -> Evidence | None:
    """A listing that shows files of two drivers; those of an image are that image's fault."""
    files = listed_libraries(scene.lines)
    if len(files) < 2 or is_container_text(scene):
        return None
    (one, _), (other, line) = files[:2]
    return Evidence(
        saw=f"libraries of {one} and of {other} lie side by side",
        expected="driver libraries of one version, that of the module",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.LIKELY,
        decides="cat /proc/driver/nvidia/version",
    )
