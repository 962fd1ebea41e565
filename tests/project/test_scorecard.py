"""The ten items of the OpenSSF Scorecard that can be checked in the repository itself.

The others (branch protection, code review, contributors, signed releases...) need the hosting service's word.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ELF_HEADER_BYTES = 64  # a shorter file cannot be loaded, whatever it is called
EXECUTABLE = (
    b"\x7fELF",
    b"MZ",
    b"\xca\xfe\xba\xbe",
    b"\xfe\xed\xfa",
    b"PK\x03\x04",
    b"\x00asm",
    b"!<arch>",
    b"\x1f\x8b",
)


def tracked() -> list[Path]:
    """The files that git holds."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=30
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def scripts() -> dict[str, str]:
    """What runs on a developer's machine or in CI, as text, without remarks."""
    files = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci/run", ROOT / "Makefile"]
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files if path.is_file()
    }
    return {name: re.sub(r"(?m)^\s*#.*$", "", text).replace("\\\n", " ") for name, text in texts.items()}


def test_1_licence() -> None:
    text = read("LICENSE")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert text.count("\n") > 190, "the whole text, not a pointer to it"
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_2_pinned_dependencies() -> None:
    installs = [
        (name, line)
        for name, text in scripts().items()
        for line in text.splitlines()
        if re.search(r"\bpip\b.*\b(install|download)\b", line) and "echo" not in line
    ]
    assert installs
    for name, line in installs:
        pinned = "--require-hashes" in line and "--only-binary :all:" in line
        offline = "--no-deps" in line and "--no-index" in line and "--no-build-isolation" in line
        assert pinned or offline, f"{name}: {line}"
    assert not [
        name
        for name, text in scripts().items()
        if re.search(r"\b(npx|npm install|cargo install|go get)\b", text)
    ]


def test_3_no_binary_artifacts() -> None:
    programs = {
        ".so",
        ".a",
        ".o",
        ".dll",
        ".exe",
        ".pyc",
        ".jar",
        ".whl",
        ".class",
        ".gguf",
        ".node",
        ".wasm",
        ".bin",
    }
    files = tracked()
    assert len(files) > 50
    suspects = [p for p in files if p.suffix in programs or p.read_bytes()[:8].startswith(EXECUTABLE)]
    assert [str(path) for path in suspects if not is_label_only(path)] == []


def is_label_only(path: Path) -> bool:
    """Whether a file is a recorded program or module cut down to its labels: small ELF without code."""
    data = path.read_bytes()
    if ROOT / "tests/cases" not in path.parents or path.stat().st_mode & 0o111 or len(data) > 8192:
        return False
    if len(data) < ELF_HEADER_BYTES or data[4] not in (1, 2):
        return True  # neither 32 nor 64 bits: no loader takes it
    if data[:6] != b"\x7fELF\x02\x01":
        return False
    segments_at, sections_at = struct.unpack_from("<QQ", data, 0x20)
    segment_size, segments, section_size, sections = struct.unpack_from("<HHHH", data, 0x36)
    rights = [struct.unpack_from("<I", data, segments_at + segment_size * n + 4)[0] for n in range(segments)]
    flags = [struct.unpack_from("<Q", data, sections_at + section_size * n + 8)[0] for n in range(sections)]
    return bool(rights or flags) and not any(r & 0x1 for r in rights) and not any(f & 0x4 for f in flags)


@pytest.mark.parametrize(
    ("flags", "rights", "mode", "kept"),
    [(0x2, 0x4, 0o644, True), (0x6, 0x4, 0o644, False), (0x2, 0x5, 0o644, False), (0x2, 0x4, 0o755, False)],
)
def test_3_a_recorded_program_with_code_in_it_is_a_binary_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, rights: int, mode: int, kept: bool
) -> None:
    header = struct.pack("<4sBB10xHHIQQQI", b"\x7fELF", 2, 1, 3, 62, 1, 0, 64, 120, 0)
    header += struct.pack("<HHHHHH", 64, 56, 1, 64, 1, 0)
    segment = struct.pack("<II", 1, rights).ljust(56, b"\0")
    section = struct.pack("<IIQ", 1, 1, flags).ljust(64, b"\0")
    path = tmp_path / "tests/cases/x/nvidia.ko"
    path.parent.mkdir(parents=True)
    path.write_bytes(header + segment + section)
    path.chmod(mode)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert is_label_only(path) == kept
    assert not is_label_only(path.rename(tmp_path / "nvidia.ko"))


def test_4_no_dangerous_workflow() -> None:
    for name, text in scripts().items():
        assert not re.search(r"\b(curl|wget)\b", text), f"{name} fetches by hand"
        assert not re.search(r"\|\s*(sudo\s+)?(ba|da|z)?sh\b|\beval\b", text), (
            f"{name} runs what it was given"
        )
        assert "sudo" not in re.sub(r'echo ".*?"', "", text), f"{name} raises its own rights"
    for path in (ROOT / ".github").rglob("*.y*ml"):
        assert "pull_request_target" not in path.read_text(encoding="utf-8")


def test_5_token_permissions() -> None:
    for path in (ROOT / ".github/workflows").glob("*.y*ml"):
        text = path.read_text(encoding="utf-8")
        assert re.search(r"(?m)^permissions:\s*(read-all|\{\}|\n\s+contents:\s*read)", text), path.name
        assert not re.search(r"uses:\s*\S+@(?![0-9a-f]{40}\b)", text), f"{path.name}: actions by commit"
    used = re.findall(r"\$\{?(\w*(?:TOKEN|SECRET|PASSWORD)\w*)", "\n".join(scripts().values()))
    assert used == [], "no script needs a secret"


def test_6_security_policy() -> None:
    text = " ".join(read("SECURITY.md").split())
    assert re.search(r"(?i)report.*privately", text)
    assert re.search(r"(?i)within (a|one|\w+) (week|day|month)", text), "says when there is an answer"
    assert re.search(r"(?i)newest release .* fixes", text)


def test_7_ci_tests() -> None:
    assert read(".ci/run").splitlines()[-1] == "exec make test"
    recipe = re.search(r"(?m)^test:\n((?:\t.*\n)+)", read("Makefile"))
    assert recipe is not None
    assert recipe[1].split() == ["@scripts/check", "@scripts/test"]
    assert "|| true" not in "".join(scripts().values())


def test_8_fuzzing() -> None:
    targets = [*(ROOT / "tests/fuzz").glob("*.py"), *(ROOT / "fuzz").glob("*.py")]
    assert targets, "tests/fuzz/ and fuzz/ have the targets for the readers of foreign input"
    properties = [
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "from hypothesis import" in path.read_text("utf-8")
    ]
    assert {path.parent.name for path in properties} >= {"model"}


def test_9_static_analysis() -> None:
    ruff = PROJECT["tool"]["ruff"]["lint"]
    assert {"S602", "S604", "S605", "BLE", "B", "TID"} <= set(ruff["select"])
    assert PROJECT["tool"]["mypy"]["strict"] is True
    check = read("scripts/check")
    assert re.search(r"ruff\" check", check)
    assert "mypy" in check


def test_10_dependency_updates_and_release_plan() -> None:
    assert "scripts/lock --upgrade" in read("Makefile")
    policy = read("SECURITY.md")
    assert re.search(r"(?i)twice.*compared byte for byte", policy)
    assert "attestation" in policy
    assert "scripts/sbom" in policy
