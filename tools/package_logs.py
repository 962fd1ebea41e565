"""Records what dnf, dnf5, pacman and zypper write about real runs.

`python tools/package_logs.py FAMILY FOLDER`, to be run as root inside a root of its own that may be thrown
away (a chroot in a mount namespace), never on a machine that somebody uses: tiny empty packages with the
names of the driver's and of kernels are built, installed, upgraded, taken back and removed there by the
distribution's own programs. What those wrote (logs, history databases) is copied to FOLDER, as it is. Needs
only Python's own library.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARK: Final = Path("/THIS-ROOT-MAY-BE-THROWN-AWAY")
WORK: Final = Path("/root/recording")
REPOSITORY: Final = WORK / "repository"
_LIMIT_S: Final = 120.0


@dataclass(frozen=True)
class Who:
    """Under whose name something runs: the login (`None`: none, as from a timer), zone, and a set clock."""

    login: int | None = 1000
    zone: str = "Europe/Berlin"
    clock: str = ""


AT_A_TERMINAL: Final = Who()
FAR_AWAY: Final = Who(zone="America/Denver")
FROM_A_TIMER: Final = Who(login=None)
CLOCK_SET_BACK: Final = Who(login=None, clock="-2d")


def run(*argv: str, who: Who = AT_A_TERMINAL, may_fail: bool = False, folder: Path = WORK) -> None:
    """Run a program as somebody, with its own words shown."""

    def become() -> None:
        if who.login is not None:
            Path("/proc/self/loginuid").write_text(str(who.login))

    shown = (f"TZ={who.zone}", *(("faketime", "-f", who.clock) if who.clock else ()), *argv)
    print("$", " ".join(shown), flush=True)
    prefix = ("faketime", "-f", who.clock) if who.clock else ()
    environment = os.environ | {"TZ": who.zone, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        (*prefix, *argv), env=environment, cwd=folder, preexec_fn=become, timeout=_LIMIT_S, check=False
    )
    if done.returncode and not may_fail:
        raise SystemExit(f"{argv[0]} failed with {done.returncode}")
    time.sleep(1.1)  # logs that write whole seconds stay in order


SPEC: Final = """Name: {name}
Epoch: {epoch}
Version: {version}
Release: {release}
Summary: empty
License: none
{more}
%description
Empty, to be recorded.
{scripts}
%files
"""


def rpm(full: str, *, epoch: int = 0, more: str = "", scripts: str = "") -> None:
    """Build an empty package `name-version-release` into the repository."""
    name, version, release = full.rsplit("-", 2)
    spec = WORK / f"{name}.spec"
    spec.write_text(
        SPEC.format(name=name, epoch=epoch, version=version, release=release, more=more, scripts=scripts)
    )
    argv = ("rpmbuild", "-bb", "--quiet", "--target", "x86_64", "--define", f"_topdir {WORK}/build")
    run(*argv, "--define", f"_rpmdir {REPOSITORY}", str(spec))
    run("createrepo_c", "--quiet", str(REPOSITORY))


KERNEL: Final = "Provides: installonlypkg(kernel)\nProvides: multiversion(kernel)"
FAILS: Final = "%pre -p <lua>\nerror('made to fail')\n"


def configure_dnf() -> None:
    """One repository of our own, nothing signed."""
    Path("/etc/dnf").mkdir(exist_ok=True)
    Path("/etc/yum.repos.d").mkdir(exist_ok=True)
    Path("/etc/dnf/dnf.conf").write_text(
        "[main]\ngpgcheck=0\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=False\n"
    )
    Path("/etc/yum.repos.d/made.repo").write_text(
        f"[made]\nname=made\nbaseurl=file://{REPOSITORY}\ngpgcheck=0\nmetadata_expire=1\n"
    )


def walk_rpm(program: str, unattended: Callable[[], None]) -> None:
    """The days of a machine with Fedora's packages."""
    configure_dnf()
    rpm("nvidia-driver-570.169-1.fc41", epoch=3)
    rpm("kernel-core-6.14.1-100.fc41", more=KERNEL)
    rpm("htop-3.3.0-1.fc41")
    run(program, "-y", "install", "nvidia-driver", "kernel-core", "htop")
    rpm("nvidia-driver-570.172.08-1.fc41", epoch=3)
    rpm("kernel-core-6.15.6-200.fc41", more=KERNEL)
    rpm("htop-3.4.0-1.fc41")
    unattended()
    run(program, "-y", "downgrade", "nvidia-driver", who=FAR_AWAY)
    run(program, "-y", "upgrade", "nvidia-driver", who=CLOCK_SET_BACK)
    run(program, "-y", "reinstall", "nvidia-driver")
    rpm("nvidia-settings-570.172.08-1.fc41", epoch=3, scripts=FAILS)
    run(program, "-y", "install", "nvidia-settings", may_fail=True)
    run(program, "-y", "remove", "kernel-core-6.14.1-100.fc41")


def dnf() -> Iterator[Path]:
    """Dnf 4, and the module that dnf-automatic is."""

    def unattended() -> None:
        Path("/etc/dnf/automatic.conf").write_text(
            "[commands]\nupgrade_type = default\nrandom_sleep = 0\nnetwork_online_timeout = 0\n"
            "download_updates = yes\napply_updates = yes\n[emitters]\nemit_via = stdio\n"
            "[email]\n[command]\n[command_email]\n[base]\ndebuglevel = 1\n"
        )
        code = "import sys, dnf.automatic.main as m; sys.exit(m.main(sys.argv[1:]))"
        run("python3", "-c", code, "/etc/dnf/automatic.conf", "--timer", who=FROM_A_TIMER)

    walk_rpm("dnf", unattended)
    yield from Path("/var/log").glob("dnf*.log*")
    yield from Path("/var/log").glob("hawkey.log*")
    yield from Path("/var/lib/dnf").glob("history.sqlite*")


def dnf5() -> Iterator[Path]:
    """Dnf 5, and its plugin `automatic`."""

    def unattended() -> None:
        settings = "apply_updates = yes\nrandom_sleep = 0\nnetwork_online_timeout = 0\n"
        Path("/etc/dnf/automatic.conf").write_text(f"[commands]\n{settings}[emitters]\nemit_via = stdio\n")
        run("dnf5", "automatic", "--timer", who=FROM_A_TIMER)

    walk_rpm("dnf5", unattended)
    yield from Path("/var/log").glob("dnf5*.log*")
    yield from Path("/usr/lib/sysimage/libdnf5").glob("transaction_history.sqlite*")


def zypper() -> Iterator[Path]:
    """Zypper; its kernels are called otherwise."""
    rpm("nvidia-compute-G06-570.169-lp156.1")
    rpm("kernel-default-6.4.0-1", more=KERNEL)
    program = ("zypper", "--non-interactive", "--no-gpg-checks")
    Path("/etc/zypp/zypp.conf").write_text("[main]\nmultiversion = provides:multiversion(kernel)\n")
    run("zypper", "--non-interactive", "addrepo", "--no-gpgcheck", "--refresh", str(REPOSITORY), "made")
    run(*program, "install", "nvidia-compute-G06", "kernel-default")
    rpm("nvidia-compute-G06-570.172.08-lp156.1")
    rpm("kernel-default-6.4.0-2", more=KERNEL)
    run(*program, "update", who=FROM_A_TIMER)
    run(*program, "install", "--oldpackage", "nvidia-compute-G06=570.169", who=FAR_AWAY)
    run(*program, "update", who=CLOCK_SET_BACK)
    rpm("nvidia-settings-570.172.08-lp156.1", scripts=FAILS)
    run(*program, "install", "nvidia-settings", may_fail=True)
    run(*program, "remove", "kernel-default=6.4.0-1")
    yield from Path("/var/log/zypp").glob("history*")


PKGINFO: Final = """pkgname = {name}
pkgbase = {name}
pkgver = {version}
pkgdesc = empty
builddate = 1750000000
packager = nobody
size = 0
arch = x86_64
"""


def arch_package(name: str, version: str) -> Path:
    """Build an empty package of Arch's form into the repository."""
    inside = WORK / "inside"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    (inside / ".PKGINFO").write_text(PKGINFO.format(name=name, version=version))
    package = REPOSITORY / f"{name}-{version}-x86_64.pkg.tar.zst"
    run("bsdtar", "--zstd", "-cf", str(package), ".PKGINFO", folder=inside)
    run("repo-add", "--quiet", str(REPOSITORY / "made.db.tar.gz"), str(package))
    return package


def pacman() -> Iterator[Path]:
    """Pacman."""
    Path("/etc/pacman.conf").write_text(
        f"[options]\nArchitecture = x86_64\nSigLevel = Never\n[made]\nServer = file://{REPOSITORY}\n"
    )
    old = arch_package("nvidia-open", "570.169-3")
    arch_package("linux", "6.12.9.arch1-1")
    run("pacman", "--noconfirm", "-Sy", "nvidia-open", "linux")
    arch_package("nvidia-open", "570.172.08-1")
    arch_package("linux", "6.13.1.arch1-1")
    run("pacman", "--noconfirm", "-Syu", who=FROM_A_TIMER)
    run("pacman", "--noconfirm", "-U", str(old), who=FAR_AWAY)
    run("pacman", "--noconfirm", "-Su", who=CLOCK_SET_BACK)
    run("pacman", "--noconfirm", "-S", "nvidia-open")
    run("pacman", "--noconfirm", "-R", "linux")
    yield from Path("/var/log").glob("pacman.log*")


FAMILIES: Final = {"dnf": dnf, "dnf5": dnf5, "zypper": zypper, "pacman": pacman}


def main(arguments: list[str]) -> int:
    """The script; 2 for wrong use."""
    if len(arguments) != 2 or arguments[0] not in FAMILIES:
        print(f"usage: package_logs.py {'|'.join(FAMILIES)} FOLDER", file=sys.stderr)
        return 2
    if not MARK.exists() or os.geteuid() != 0:
        print(f"to be run as root in a root of its own, in which {MARK} lies", file=sys.stderr)
        return 2
    shutil.rmtree(WORK, ignore_errors=True)
    REPOSITORY.mkdir(parents=True)
    folder = Path(arguments[1])
    folder.mkdir(parents=True)
    for path in FAMILIES[arguments[0]]():
        shutil.copy(path, folder)
        print("kept", path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
