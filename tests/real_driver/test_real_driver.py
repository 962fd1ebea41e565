"""NVIDIA's own programs and libraries, as Debian packs them, without a card: `make test-real-driver`.

The packages of two versions lie unpacked below the folder in BRINGUP_TEST_REAL_DRIVER. Nothing of them is
installed; nvidia-smi and our own children load the libraries by LD_LIBRARY_PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.shown import shown_by
from tests.stubs.command_line import Home, run_cli

from bringup.stack.module_file import pack_module

FOLDER = Path(os.environ.get("BRINGUP_TEST_REAL_DRIVER", "")).resolve()
pytestmark = pytest.mark.skipif(
    "BRINGUP_TEST_REAL_DRIVER" not in os.environ, reason="real driver: make test-real-driver"
)

CURRENT = "usr/lib/x86_64-linux-gnu/nvidia/current"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
KERNEL = "6.1.0-37-amd64"
RELEASE, BACKPORTS = FOLDER / "release", FOLDER / "backports"


def packages(place: Path) -> dict[str, str]:
    """Package and version, as `dpkg-deb` told them."""
    return dict(re.findall(r"Package: (\S+)\nVersion: (\S+)", (place / "control").read_text()))


def version(place: Path) -> str:
    return packages(place)["libcuda1"].partition("-")[0]


def smi(*arguments: str, libraries: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RELEASE / "root/usr/lib/nvidia/current/nvidia-smi", *arguments],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_LIBRARY_PATH": str(libraries)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def disk_with(tmp_path: Path, place: Path, *, module: str) -> Path:
    """A Debian disk with the real files of one version, linked where Debian's alternatives link them."""
    disk = tmp_path / "disk"
    shutil.copytree(place / "root", disk, symlinks=True, copy_function=os.link)
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        (disk / LIBRARIES / name).symlink_to(f"/{CURRENT}/{name}")
    (disk / "usr/bin").mkdir(exist_ok=True)
    (disk / "usr/bin/nvidia-smi").symlink_to("/usr/lib/nvidia/current/nvidia-smi")
    texts = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "var/lib/dpkg/status": "\n".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {number}\n"
            for name, number in packages(place).items()
        ),
        f"boot/vmlinuz-{KERNEL}": "",
        f"lib/modules/{KERNEL}/modules.dep": "",
    }
    for path, text in texts.items():
        (disk / path).parent.mkdir(parents=True, exist_ok=True)
        (disk / path).write_text(text)
    label = {"version": module, "license": "NVIDIA", "vermagic": f"{KERNEL} SMP preempt mod_unload"}
    folder = disk / f"lib/modules/{KERNEL}/updates/dkms"  # the one part that is made: nothing is built here
    folder.mkdir(parents=True)
    for name in ("nvidia", "nvidia-uvm", "nvidia-modeset", "nvidia-drm"):
        (folder / f"{name}.ko").write_bytes(pack_module(label, is_signed=True))
    return disk


def judged(disk: Path) -> tuple[list[str], dict[str, Any]]:
    """Ids of the roots, and the facts by name."""
    _, text = shown_by("doctor", "--root", str(disk), "--json", "--verbose")
    value = json.loads(text)
    assert value["could_not_tell"], "a disk alone is never the whole machine"
    roots = [fault["id"] for fault in value["faults"] if fault["role"] == "root"]
    return roots, {f"{fact['layer']}.{fact['name']}": fact for fact in value["facts"]}


def test_there_are_two_versions() -> None:
    assert re.fullmatch(r"\d{3}\.[\d.]+", version(RELEASE))
    assert version(RELEASE) != version(BACKPORTS)


@pytest.mark.parametrize("arguments", [(), ("-L",), ("--query-gpu=name", "--format=csv")])
@pytest.mark.parametrize("place", [RELEASE, BACKPORTS], ids=["release", "backports"])
def test_nvidia_smi_without_a_driver_ends_with_9(place: Path, arguments: tuple[str, ...]) -> None:
    done = smi(*arguments, libraries=place / "root" / CURRENT)
    assert done.returncode == 9
    code, text = shown_by("diagnose", _pasted(done.stdout))
    assert code == 3, "its words name no cause"
    assert "what keeps nvidia-smi from the driver" in text


def test_nvidia_smi_without_its_library_ends_with_12() -> None:
    done = smi(libraries=Path("/nonexistent"))
    assert done.returncode == 12
    code, text = shown_by("diagnose", "--json", _pasted(done.stdout))
    assert code == 1
    assert json.loads(text)["faults"][0]["id"] == "library-missing"


def _pasted(text: str) -> str:
    path = Path(os.environ["HOME"]) / "paste.txt"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("place", [RELEASE, BACKPORTS], ids=["release", "backports"])
def test_the_real_libraries_tell_the_live_doctor_why(own_home: Path, place: Path) -> None:
    done = run_cli(
        Home(own_home), "doctor", "--json", "--verbose", LD_LIBRARY_PATH=str(place / "root" / CURRENT)
    )
    facts = {f"{f['layer']}.{f['name']}": f for f in json.loads(done.stdout)["facts"]}
    assert facts["userspace.nvml_library.version"]["value"] == version(place)
    assert facts["userspace.cuda_library.version"]["value"] == version(place)
    assert "code 9" in facts["nvml.error"]["value"]
    assert facts["cuda.start.code"]["value"] == "100"


def test_a_disk_of_one_version_is_in_order(tmp_path: Path) -> None:
    roots, facts = judged(disk_with(tmp_path, RELEASE, module=version(RELEASE)))
    assert roots == []
    assert version(RELEASE) in facts["userspace.driver_library_versions"]["value"]
    assert facts["userspace.nvml_library.version"]["value"] == version(RELEASE)
    assert facts["userspace.smi"]["seen"] == "known"
    assert packages(RELEASE)["libcuda1"] in str(facts["userspace.packages"]["value"])


def test_a_module_of_the_other_version_is_the_mismatch(tmp_path: Path) -> None:
    roots, _ = judged(disk_with(tmp_path, RELEASE, module=version(BACKPORTS)))
    assert roots == ["driver-library-mismatch"]


def test_libraries_of_both_versions_are_mixed(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, RELEASE, module=version(RELEASE))
    link = disk / LIBRARIES / "libnvidia-ml.so.1"
    link.unlink()
    os.link(
        BACKPORTS / "root" / CURRENT / f"libnvidia-ml.so.{version(BACKPORTS)}",
        disk / LIBRARIES / f"libnvidia-ml.so.{version(BACKPORTS)}",
    )
    link.symlink_to(f"libnvidia-ml.so.{version(BACKPORTS)}")
    roots, facts = judged(disk)
    assert roots == ["libraries-mixed"]
    assert facts["userspace.nvml_library.version"]["value"] == version(BACKPORTS)
    assert facts["userspace.cuda_library.version"]["value"] == version(RELEASE)


def test_a_disk_without_the_links_has_libraries_that_nobody_finds(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, RELEASE, module=version(RELEASE))
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        (disk / LIBRARIES / name).unlink()
    roots, facts = judged(disk)
    assert facts["userspace.nvml_library"]["seen"] == "absent"
    assert roots in (["library-missing"], [])
