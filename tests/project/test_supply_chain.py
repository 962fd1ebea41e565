"""What is installed is what was reviewed: locks, footprints, reproducible wheels, the bill of materials."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tools import installed, lockfile, sbom
from tools.installed import Footprint

ROOT = Path(__file__).parents[2]
LOCKS = {
    name: lockfile.read_lock(ROOT / f"requirements/{name}.txt") for name in ("run", "build", "test", "lock")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = [*PROJECT["project"]["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
# Versions with a hole that we know of; reached only if somebody's dependency brings them in.
FLOORS = {"jinja2": "3.1.6", "starlette": "0.49.1", "urllib3": "2.5.0", "h11": "0.16.0", "requests": "2.32.4"}
# In an environment, but not by our locks: it brings pip (and, before Python 3.12, setuptools) itself.
FROM_PYTHON = {"pip", "setuptools", "bringup"}


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_hashed_and_only_wheels_are_taken(name: str) -> None:
    lock = LOCKS[name]
    assert lock.options == {"--require-hashes", "--only-binary :all:"}
    assert lock.pins
    assert [pin.name for pin in lock.pins if not pin.hashes] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_registry_and_no_machine(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    assert [
        line for line in text.splitlines() if "://" in line or "--index" in line or "--find-links" in line
    ] == []


def test_locks_agree_with_each_other() -> None:
    versions: dict[tuple[str, str], str] = {}
    for lock in LOCKS.values():
        for pin in lock.pins:
            assert versions.setdefault((pin.name, pin.marker), pin.version) == pin.version


def test_every_direct_dependency_is_locked_within_its_bounds() -> None:
    pins = {pin.name: pin.version for pin in LOCKS["run"].pins}
    for requirement in map(Requirement, WANTED):
        assert requirement.specifier.contains(pins[lockfile.normalise(requirement.name)]), requirement
    build = {pin.name: pin.version for pin in LOCKS["build"].pins}
    for requirement in map(Requirement, PROJECT["build-system"]["requires"]):
        assert requirement.specifier.contains(build[lockfile.normalise(requirement.name)]), requirement


def test_the_table_of_libraries_is_the_list_of_direct_dependencies() -> None:
    table = PROJECT["tool"]["bringup"]["architecture"]["libraries"]
    packages = {lockfile.normalise(row.get("distribution", name)) for name, row in table.items()}
    assert packages == {lockfile.normalise(Requirement(text).name) for text in WANTED}


def test_at_most_eight_direct_dependencies() -> None:
    assert 1 <= len(PROJECT["project"]["dependencies"]) <= 8


@pytest.mark.parametrize("name", LOCKS)
def test_no_version_with_a_known_hole(name: str) -> None:
    pins = LOCKS[name].pins
    assert [p for p in pins if p.name in FLOORS and Version(p.version) < Version(FLOORS[p.name])] == []


@pytest.mark.parametrize(
    "line",
    [
        "click>=8",
        "git+https://example.org/x",
        "-e .",
        "--index-url https://example.org",
        "click==8.5.1 --hash=md5:12",
    ],
)
def test_a_line_that_is_not_a_pin_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a pin"):
        lockfile.parse_lock(line)


def test_a_lock_without_hashes_or_options_is_seen_as_such() -> None:
    lock = lockfile.parse_lock("click==8.5.1\n    # via bringup\n")
    assert lock.options == frozenset()
    assert lock.pins[0].hashes == ()
    assert lock.pins[0].wanted_by == ("bringup",)


@pytest.fixture(scope="module")
def environment() -> dict[str, tuple[str, Footprint]]:
    """What this environment holds; the tests that use it need the one that scripts/setup makes."""
    if not (Path(sys.prefix) / ".set-up").is_file():
        pytest.skip("not in an environment made by scripts/setup")
    return installed.installed_footprints()


def test_the_environment_is_the_lock(environment: dict[str, tuple[str, Footprint]]) -> None:
    wanted = {pin.name: set[str]() for name in ("run", "build", "test") for pin in LOCKS[name].pins}
    for name in ("run", "build", "test"):
        for pin in LOCKS[name].pins:
            wanted[pin.name].add(pin.version)
    assert set(environment) - set(wanted) <= FROM_PYTHON
    wrong = {
        name: found[0]
        for name, found in environment.items()
        if name in wanted and found[0] not in wanted[name]
    }
    assert wrong == {}


def test_commands_pth_files_and_native_libraries_are_the_reviewed_ones(
    environment: dict[str, tuple[str, Footprint]],
) -> None:
    reviewed = installed.reviewed_footprints()
    locked = {pin.name for name in installed.LOCKS for pin in LOCKS[name].pins}
    found = {name: footprint for name, (_, footprint) in environment.items() if name in locked}
    assert {n: f for n, f in found.items() if f != reviewed.get(n, Footprint())} == {}
    assert set(reviewed) <= locked


def test_no_pth_file_but_our_own_and_pythons(environment: dict[str, tuple[str, Footprint]]) -> None:
    folder = Path(sysconfig.get_path("purelib"))
    names = {path.name for path in folder.glob("*.pth")} | {
        path.name for path in folder.glob("*customize.py")
    }
    assert names <= {"_editable_impl_bringup.pth", "distutils-precedence.pth"}
    assert (folder / "_editable_impl_bringup.pth").read_text(encoding="utf-8").strip() == str(ROOT / "src")


def test_a_pth_file_a_command_and_a_library_are_noticed() -> None:
    paths = (
        "litellm_init.pth",
        "x/__init__.py",
        "../../../bin/x",
        "x/_x.cpython-311-x86_64-linux-gnu.so",
        "x/_y.abi3.so",
        "x.libs/libgomp-a34b3233.so.1.0.0",
        "x/data.so.txt",
    )
    assert installed.read_footprint(paths) == Footprint(
        pth=("litellm_init.pth",),
        commands=("x",),
        native=("x.libs/libgomp-*.so.*", "x/_x.*.so", "x/_y.*.so"),
    )


def build_wheel(folder: Path, *, tree: Path, seed: str, umask: int) -> Path:
    """Our wheel, built by the pinned backend in a process of its own."""
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": seed}
    argv = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(
        argv, cwd=tree, env=environment, umask=umask, stdout=subprocess.PIPE, check=True, timeout=60
    )
    return folder / done.stdout.decode().split()[-1]


def test_two_builds_of_the_wheel_are_the_same_bytes(
    tmp_path: Path, environment: dict[str, tuple[str, Footprint]]
) -> None:
    elsewhere = tmp_path / "elsewhere"  # another folder, other times, another order on the disk, other rights
    elsewhere.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        (elsewhere / name).write_bytes((ROOT / name).read_bytes())
    for path in sorted((ROOT / "src").rglob("*"), reverse=True):
        if path.is_file() and "__pycache__" not in path.parts:
            target = elsewhere / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    first = build_wheel(tmp_path / "a", tree=ROOT, seed="1", umask=0o022)
    second = build_wheel(tmp_path / "b", tree=elsewhere, seed="2", umask=0o077)
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
    assert "bringup/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    package = {f"bringup/{p.relative_to(ROOT / 'src/bringup')}" for p in (ROOT / "src/bringup").rglob("*.py")}
    assert package <= set(names)
    assert not [name for name in names if not name.startswith(("bringup/", "bringup-"))]


def test_the_bill_of_materials_lists_every_pin_once_and_who_wants_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.sbom"], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60
    )
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(references) == len(set(references))
    assert set(references) == {f"pkg:pypi/{p.name}@{p.version}" for n in sbom.LOCKS for p in LOCKS[n].pins}
    edges = {edge["ref"]: edge["dependsOn"] for edge in bill["dependencies"]}
    direct = {
        reference.split("/")[1].split("@")[0] for reference in edges["pkg:generic/bringup@" + _version()]
    }
    assert {lockfile.normalise(Requirement(text).name) for text in WANTED} <= direct
    known = {*references, "pkg:generic/bringup@" + _version()}
    assert {target for targets in edges.values() for target in targets} <= known
    reached: set[str] = set()
    queue = ["pkg:generic/bringup@" + _version()]
    while queue:
        reference = queue.pop()
        if reference not in reached:
            reached.add(reference)
            queue += edges[reference]
    assert reached == known, "a package that nobody wants is in the lock"


def test_the_bill_of_materials_changes_with_the_lock_and_only_then() -> None:
    locks = {name: LOCKS[name] for name in sbom.LOCKS}
    assert sbom.bill_of_materials("1", locks) == sbom.bill_of_materials("1", locks)
    fewer = {**locks, "run": lockfile.Lock(locks["run"].pins[1:], locks["run"].options)}
    serial = sbom.bill_of_materials("1", fewer)["serialNumber"]
    assert serial != sbom.bill_of_materials("1", locks)["serialNumber"]


def _version() -> str:
    from bringup import __version__

    return __version__
