"""`make run` where Python is missing, too old or cut down says what to install; setting up is done once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "dirname", "cksum", "env", "unshare", "mount")
OLD = "#!/bin/sh\necho 3.9\nexit 1\n"
# As Debian's python3 without python3-venv: the interpreter is whole, ensurepip is not there.
CUT_DOWN = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec "{real}" "$@"\n'
WHOLE = '#!/bin/sh\nexec "{real}" "$@"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A PATH with the shell's own tools and no Python."""
    for name in TOOLS:
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    return tmp_path


def put(folder: Path, name: str, text: str) -> Path:
    """A made program on the PATH."""
    path = folder / name
    path.write_text(text.replace("{real}", sys.executable), encoding="utf-8")
    path.chmod(0o755)
    return path


def find_python(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/python with that PATH only."""
    environment = {"PATH": str(folder), "HOME": os.environ["HOME"], **variables}
    argv = [str(folder / "sh"), str(ROOT / "scripts/python")]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_python_on_the_path_is_found(folder: Path) -> None:
    path = put(folder, "python3", WHOLE)
    assert find_python(folder).stdout == f"{path}\n"


def test_the_first_that_can_make_environments_is_taken(folder: Path) -> None:
    put(folder, "python3", OLD)
    put(folder, "python3.12", CUT_DOWN)
    path = put(folder, "python3.11", WHOLE)
    assert find_python(folder).stdout == f"{path}\n"


def test_a_named_python_is_the_only_one_tried(folder: Path) -> None:
    put(folder, "python3", WHOLE)
    mine = put(folder, "mine", WHOLE)
    assert find_python(folder, BRINGUP_PYTHON=str(mine)).stdout == f"{mine}\n"
    done = find_python(folder, BRINGUP_PYTHON=str(folder / "absent"))
    assert (done.returncode, done.stdout) == (1, "")
    assert str(folder / "absent") in done.stderr


@pytest.mark.parametrize("present", [(), ("python3",)])
def test_no_python_or_an_old_one_is_said(folder: Path, present: tuple[str, ...]) -> None:
    for name in present:
        put(folder, name, OLD)
    done = find_python(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs Python 3.11 or newer" in done.stderr
    assert ("3.9" in done.stderr) == bool(present)
    assert "BRINGUP_PYTHON=" in done.stderr


def test_a_python_without_ensurepip_is_said(folder: Path) -> None:
    put(folder, "python3", CUT_DOWN)
    done = find_python(folder)
    version = "{}.{}".format(*sys.version_info)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Python {version} is here" in done.stderr
    assert "ensurepip" in done.stderr


PACKAGES = (
    ("ID=debian", "sudo apt install python3.11 ", "python{}-venv"),
    ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", "sudo apt install python3.11 ", "python{}-venv"),
    ("ID=fedora", "sudo dnf install python3", None),
    ("ID=rocky\nID_LIKE=\"rhel centos fedora\"", "sudo dnf install python3.12", None),
    ("ID=archarm\nID_LIKE=arch", "sudo pacman -S python", None),
    ("ID=opensuse-leap\nID_LIKE=\"suse opensuse\"", "sudo zypper install python3", None),
    ("ID=other", "your distribution's package manager", None),
)  # fmt: skip


@pytest.mark.parametrize(("release", "too_old", "cut_down"), PACKAGES)
def test_the_package_is_that_of_the_distribution(
    folder: Path, tmp_path: Path, release: str, too_old: str, cut_down: str | None
) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    file = tmp_path / "os-release"
    file.write_text(release + "\n", encoding="utf-8")
    code = f'mount --bind {file} /etc/os-release && exec "{folder}/sh" "{ROOT}/scripts/python"'
    argv = ["unshare", "--mount", "sh", "-c", code]
    environment = {"PATH": str(folder)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert too_old in done.stderr
    put(folder, "python3", CUT_DOWN)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (cut_down or "venv and ensurepip").format("{}.{}".format(*sys.version_info)) in done.stderr


def test_a_system_without_the_threads_library_is_told_before_anything_is_fetched(
    folder: Path, tmp_path: Path
) -> None:
    tree = copy_of_scripts(tmp_path / "tree")
    put(folder, "python3", '#!/bin/sh\ncase "$2" in *libgomp*) exit 1 ;; esac\nexec "{real}" "$@"\n')
    done = subprocess.run(
        [str(folder / "sh"), str(tree / "scripts/setup"), ".venv", "run"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "apt install libgomp1" in done.stderr
    assert not (tree / ".venv").exists()


def test_make_run_ends_with_those_words_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    tree = copy_of_scripts(tmp_path / "tree")
    put(folder, "python3", OLD)
    (folder / "make").symlink_to(shutil.which("make") or "/usr/bin/make")
    done = subprocess.run(
        ["make", "run"],
        cwd=tree,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tree / ".venv").exists()


def test_setting_up_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    tree = copy_of_scripts(tmp_path / "tree")
    calls = fake_environment_maker(tmp_path)
    run_setup(tree, tmp_path)
    first = calls.read_text(encoding="utf-8")
    assert "--require-hashes --only-binary :all:" in first
    assert "--no-index --no-build-isolation" in first
    run_setup(tree, tmp_path)
    assert calls.read_text(encoding="utf-8") == first


@pytest.mark.parametrize("change", ["lock", "folder", "stamp", "python"])
def test_what_changed_or_was_cut_short_is_set_up_anew(tmp_path: Path, change: str) -> None:
    tree = copy_of_scripts(tmp_path / "tree")
    calls = fake_environment_maker(tmp_path)
    run_setup(tree, tmp_path)
    if change == "lock":
        with (tree / "requirements/run.txt").open("a", encoding="utf-8") as handle:
            handle.write("# newer\n")
    elif change == "folder":
        tree = tree.rename(tmp_path / "moved")
    elif change == "stamp":  # killed before the end
        (tree / ".venv/.set-up").unlink()
    else:  # the system's Python went away
        (tree / ".venv/bin/python").unlink()
    before = calls.read_text(encoding="utf-8")
    run_setup(tree, tmp_path)
    assert len(calls.read_text(encoding="utf-8")) > len(before)


def test_a_failed_fetch_is_told_and_not_taken_for_done(tmp_path: Path) -> None:
    tree = copy_of_scripts(tmp_path / "tree")
    calls = fake_environment_maker(tmp_path, pip_code=1)
    done = run_setup(tree, tmp_path, code=1)
    assert "could not install" in done.stderr
    assert "pip config list" in done.stderr
    assert not (tree / ".venv/.set-up").exists()
    before = calls.read_text(encoding="utf-8")
    run_setup(tree, tmp_path, code=1)
    assert len(calls.read_text(encoding="utf-8")) > len(before)


def copy_of_scripts(tree: Path) -> Path:
    """What setting up reads, in a folder of its own."""
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    return tree


def fake_environment_maker(tmp_path: Path, pip_code: int = 0) -> Path:
    """A made python3 whose `-m venv` makes a python that only notes how pip was called."""
    calls = tmp_path / "calls.txt"
    inner = f'#!/bin/sh\\n[ "$1" = -c ] && exit 0\\necho "$@" >>{calls}\\nexit {pip_code}\\n'
    text = (
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        f'"-m venv") mkdir -p "$4/bin"; printf \'{inner}\' >"$4/bin/python"; chmod +x "$4/bin/python" ;;\n'
        f'*) exec "{sys.executable}" "$@" ;;\n'
        "esac\n"
    )
    (tmp_path / "path").mkdir()
    put(tmp_path / "path", "python3", text)
    return calls


def run_setup(tree: Path, tmp_path: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """scripts/setup .venv build run, with the made python3."""
    environment = {"PATH": f"{tmp_path / 'path'}:{os.environ['PATH']}", "HOME": os.environ["HOME"]}
    argv = ["scripts/setup", ".venv", "build", "run"]
    done = subprocess.run(
        argv, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done
