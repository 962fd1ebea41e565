"""Engines that others built: archives unpacked safely, wheels chosen by card and driver and proved."""

from __future__ import annotations

import hashlib
import io
import json
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.setup.conftest import served
from tests.setup.test_choice import case
from tests.stubs.command_line import Home, run_cli

from bringup.actions.setting_up.choice import Method, SetupChoice, SetupWishes, choose
from bringup.actions.setting_up.ready import obtain_release, obtain_wheel, parse_archive
from bringup.actions.setting_up.source import SourceWishes
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.embedded import device_lines
from bringup.engine.find import find_embedded, find_engines, wheel_at
from bringup.engine.source_build import Backend
from bringup.engine.wheels import cuda_of_index, fitting_cuda, wheel_table, wheel_unfit
from bringup.errors import DownloadError, EngineError, FileTrouble, WrongUse
from bringup.machine.live import LiveMachine
from bringup.machine.release_archive import unpack_release
from bringup.machine.source_archive import unpack_sources
from bringup.reading import Absent, Known

PROGRAM = b"#!/bin/sh\necho 'version: 7000 (made)'\n"


def tar(path: Path, *members: tuple[str, bytes | str]) -> Path:
    """An archive of files (bytes) and links (their target)."""
    with tarfile.open(path, "w:gz") as packed:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                packed.addfile(info)
            else:
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    return path


GOOD: tuple[tuple[str, bytes | str], ...] = (
    ("llama-b7000/llama-server", PROGRAM),
    ("llama-b7000/libllama.so.0.0.7000", b"library"),
    ("llama-b7000/libllama.so.0", "libllama.so.0.0.7000"),
    ("llama-b7000/libllama.so", "libllama.so.0"),
    ("llama-b7000/llama-cli", b"another program"),
    ("llama-b7000/LICENSE", b"MIT"),
    ("other/libllama.so", b"not beside it"),
)


def test_what_runs_is_unpacked_and_nothing_else(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", *GOOD)
    names = unpack_release(str(archive), str(tmp_path / "out"))
    assert sorted(names) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert "llama-cli" not in names and (tmp_path / "out" / "libllama.so").read_bytes() == b"library"
    assert (tmp_path / "out" / "llama-server").stat().st_mode & 0o777 == 0o755


def test_a_file_of_one_byte_comes_out_whole(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", GOOD[0], ("llama-b7000/libllama.so", b"1"))
    unpack_release(str(archive), str(tmp_path / "out"))
    assert (tmp_path / "out" / "libllama.so").read_bytes() == b"1"


def test_a_zip_with_links(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("build/bin/llama-server", PROGRAM)
        packed.writestr("build/bin/libggml.so.0", b"library")
        link = zipfile.ZipInfo("build/bin/libggml.so")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "libggml.so.0")
    unpack_release(str(path), str(tmp_path / "out"))
    assert (tmp_path / "out" / "libggml.so").is_symlink()
    assert (tmp_path / "out" / "libggml.so").read_bytes() == b"library"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ((("a/llama-server", PROGRAM), ("a/libx.so", "/etc/passwd")), "no file beside it"),
        ((("a/llama-server", PROGRAM), ("a/libx.so", "../../libx.so")), "no file beside it"),
        ((("a/llama-server", PROGRAM), ("a/libx.so", "liby.so")), "no file beside it"),
        ((("a/llama-server", PROGRAM), ("a/libx.so", b"1"), ("a/libx.so", b"2")), "there twice"),
        ((("a/llama-server", PROGRAM), ("b/llama-server", PROGRAM)), "2 files called llama-server"),
        ((("a/llama-server", "/bin/sh"),), "0 files called llama-server"),
        ((("a/README", b"x"),), "0 files called llama-server"),
    ],
)
def test_a_hostile_archive_is_refused_before_a_byte_is_written(
    tmp_path: Path, members: tuple[tuple[str, bytes | str], ...], why: str
) -> None:
    archive = tar(tmp_path / "a.tar.gz", *members)
    with pytest.raises(FileTrouble) as caught:
        unpack_release(str(archive), str(tmp_path / "out"))
    assert why in caught.value.message and caught.value.reference == "archive-damaged"
    assert not (tmp_path / "out").exists()


def test_names_that_leave_the_folder_are_not_taken(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", ("../llama-server", PROGRAM), ("../../libx.so", b"x"))
    assert unpack_release(str(archive), str(tmp_path / "deep" / "out")) == ("llama-server",)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar.gz", "deep", "llama-server", "out"]


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tar(tmp_path / "a.tar.gz", *GOOD)
    with monkeypatch.context() as patch:
        patch.setattr("bringup.machine.release_archive.UNPACKED_LIMIT_BYTES", 40)
        with pytest.raises(FileTrouble, match="more than 40 bytes"):
            unpack_release(str(archive), str(tmp_path / "out"))
    with monkeypatch.context() as patch:
        patch.setattr("bringup.machine.release_archive.MEMBERS_LIMIT", 3)
        with pytest.raises(FileTrouble, match="more than 3 files"):
            unpack_release(str(archive), str(tmp_path / "out"))
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(FileTrouble, match="cannot be unpacked"):
        unpack_release(str(cut), str(tmp_path / "out"))


PACKED = random.Random(1).randbytes(20_000) + b"x" * 50_000


def pack(path: Path) -> Path:
    """Three files in an archive of the kind that the path's ending says."""
    names = ("top/CMakeLists.txt", "top/src/a.c", "top/llama-server")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                packed.writestr(name, PACKED)
    else:
        with tarfile.open(path, f"w:{path.suffix[1:]}") as packed:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(PACKED)
                packed.addfile(info, io.BytesIO(PACKED))
    return path


@pytest.mark.parametrize("unpack", [unpack_release, unpack_sources])
@pytest.mark.parametrize("ending", ["tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_of_a_damaged_archive_come_the_right_files_or_a_named_error(
    ending: str, unpack: Callable[[str, str], object], tmp_path: Path
) -> None:
    archive = pack(tmp_path / f"a.{ending}")
    whole, chance, refused = archive.read_bytes(), random.Random(ending), 0
    for number in range(30):
        damaged = bytearray(whole)
        at = chance.randrange(len(whole))
        damaged[at] ^= 1 << chance.randrange(8)
        archive.write_bytes(damaged if number % 3 else damaged[:at])
        out = tmp_path / str(number)
        try:
            unpack(str(archive), str(out))
        except FileTrouble as problem:
            assert problem.reference == "archive-damaged"
            refused += 1
        else:
            written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
            assert written and set(written) == {PACKED}
    assert refused >= 10


def test_an_archive_with_a_password_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip")
    flags = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # bit 0 of the flags of each file, in both lists
        start = -1
        while (start := flags.find(mark, start + 1)) >= 0:
            flags[start + at] |= 1
    archive.write_bytes(flags)
    with pytest.raises(FileTrouble, match="encrypted"):
        unpack_sources(str(archive), str(tmp_path / "out"))


def cpu_choice(method: Method) -> SetupChoice:
    return SetupChoice(method, Backend.CPU, ("asked for",))


def release(archive: str, tmp_path: Path) -> list[str]:
    steps: list[str] = []
    obtain_release(
        parse_archive(archive),
        cpu_choice(Method.RELEASE),
        LiveMachine(),
        str(tmp_path / "work"),
        on_step=steps.append,
        on_progress=lambda _: None,
    )
    return steps


def test_a_flipped_byte_is_refused_before_unpacking(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", *GOOD)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    data = bytearray(archive.read_bytes())
    data[20] ^= 1
    archive.write_bytes(data)
    with pytest.raises(FileTrouble) as caught:
        release(f"{archive}#sha256={sha256}", tmp_path)
    assert caught.value.reference == "checksum-mismatch" and not (tmp_path / "work").exists()


def test_an_archive_is_fetched_and_its_hash_decides(tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    archive = tar(web / "a.tar.gz", *GOOD)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    with served(web) as address:
        with pytest.raises(DownloadError) as caught:
            release(f"{address}/a.tar.gz#sha256={'0' * 64}", tmp_path)
        assert caught.value.reference == "checksum-mismatch"
        assert not list((tmp_path / "work").rglob("llama-server"))
        # With the right one it comes as far as being looked at.
        with pytest.raises(EngineError, match="its backends cannot be seen"):
            release(f"{address}/a.tar.gz#sha256={sha256}", tmp_path)
    assert (tmp_path / "work" / "staged" / "llama-server").read_bytes() == PROGRAM


def test_an_archive_whose_program_is_no_engine(tmp_path: Path) -> None:
    """By its files, before anything of it runs."""
    archive = tar(tmp_path / "a.tar.gz", *GOOD)
    with pytest.raises(EngineError, match="its backends cannot be seen") as caught:
        release(str(archive), tmp_path)
    assert "--method source" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        (None, "no-archive"),
        ("https://example.org/llama.tar.gz", "no-hash"),
        ("/nowhere/llama.tar.gz", "no-such-file"),
        (f"https://example.org/llama.exe#sha256={'0' * 64}", "wrong-use"),
    ],
)
def test_what_is_no_archive(source: str | None, reference: str) -> None:
    with pytest.raises(WrongUse) as caught:
        parse_archive(source)
    assert caught.value.reference == reference


def test_an_archive_of_the_web_with_its_hash() -> None:
    found = parse_archive(f"https://example.org/a.tar.gz#sha256={'AB' * 32}")
    assert found.is_remote and found.place == "https://example.org/a.tar.gz" and found.sha256 == "ab" * 32


# Wheels: which CUDA serves which card and driver.


@pytest.mark.parametrize(
    ("version", "archs", "driver", "why"),
    [
        ((12, 8), ("86",), (12, 8), None),
        ((12, 8), ("86",), (12, 4), None),  # its very machine code
        ((12, 8), ("86",), (13, 0), None),
        ((12, 8), ("90",), (12, 8), None),
        ((12, 8), ("90",), (12, 4), "code that the driver would compile"),
        ((13, 2), ("86",), (12, 8), "the driver runs CUDA 12.8"),
        ((13, 2), ("61",), (13, 2), "no code for compute capability 6.1"),
        ((13, 2), ("90",), (13, 0), "code that the driver would compile"),
        ((13, 2), ("75", "120"), (13, 0), None),
        ((12, 8), ("86", "35"), None, "no code for compute capability 3.5"),
        ((12, 4), ("86",), (12, 8), None),  # a CUDA that the table does not have
        ((12, 4), ("86",), (11, 8), "the driver runs CUDA 11.8"),
    ],
)
def test_which_wheel_serves(
    version: tuple[int, int], archs: tuple[str, ...], driver: tuple[int, int] | None, why: str | None
) -> None:
    found = wheel_unfit(version, archs, driver)
    assert found is None if why is None else found is not None and why in found


def test_the_cuda_of_an_index() -> None:
    assert cuda_of_index("https://host.example/whl/cu128") == (12, 8)
    assert cuda_of_index("file:///x/cu132/") == (13, 2)
    assert cuda_of_index("https://host.example/simple") is None
    assert fitting_cuda(("86",), (12, 8)) == ("12.8",) and fitting_cuda(("86",), (13, 2)) == ("12.8", "13.2")
    assert fitting_cuda(("61",), (13, 2)) == ("12.8",) and fitting_cuda(("35",), None) == ()
    assert wheel_table().requirement("1.2") == "xllamacpp==1.2"


CU128, CU132 = "https://host.example/whl/cu128", "https://host.example/whl/cu132"


def test_a_recorded_machine_and_an_index() -> None:
    facts = case("wsl-driver-missing/machine-healthy")
    newest = facts.stack.nvml.cuda_version
    assert isinstance(newest, Known)
    taken = choose(facts, SetupWishes(index=CU128))
    assert (taken.method, taken.backend, taken.cuda_archs) == (Method.WHEEL, Backend.CUDA, ("86",))
    # Without an index nothing is guessed: it is built, and what would serve is said.
    built = choose(facts, SetupWishes())
    assert built.method is Method.SOURCE
    assert any(one.what == "wheel" and "CUDA 12.8" in one.why for one in built.passed)


def test_the_driver_is_too_old_for_the_wheels_cuda() -> None:
    facts = case("wsl-driver-missing/machine-healthy")
    nvml = replace(facts.stack.nvml, cuda_version=Known((12, 4), "nvml"))
    old = replace(facts, stack=replace(facts.stack, nvml=nvml))
    passed = choose(old, SetupWishes(index=CU132))
    assert passed.method is Method.SOURCE
    assert [one.why for one in passed.passed if one.what == "wheel"] == [
        "its wheels are for CUDA 13.2, the driver runs CUDA 12.4"
    ]
    with pytest.raises(EngineError) as caught:
        choose(old, SetupWishes(index=CU132, method=Method.WHEEL))
    assert caught.value.reference == "driver-too-old-for-cuda"


def test_devices_of_a_wheel_in_the_words_of_llama_server() -> None:
    """Made: what a wheel with CUDA would say; only its graphics cards count."""

    class Kind:
        def __init__(self, name: str) -> None:
            self.name = name

    def device(name: str, kind: str) -> dict[str, object]:
        return {
            "name": name,
            "description": "X",
            "type": Kind(kind),
            "memory_total": 2**30,
            "memory_free": 2**20,
        }

    lines = device_lines(
        [device("CPU", "GGML_BACKEND_DEVICE_TYPE_CPU"), device("CUDA0", "GGML_BACKEND_DEVICE_TYPE_GPU")]
    )
    assert lines == ["Available devices:", "  CUDA0: X (1024 MiB, 1 MiB free)"]


# The embedded engine's own files, packed as the wheel that they came from, in an index on this disk.


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package index with one wheel: the real engine."""
    embedded = find_embedded()
    assert embedded is not None
    site = Path(embedded.path).parent
    (info,) = site.glob("xllamacpp-*.dist-info")
    tags = [line[5:] for line in (info / "WHEEL").read_text().splitlines() if line.startswith("Tag: ")]
    folder = tmp_path_factory.mktemp("index") / "xllamacpp"
    folder.mkdir()
    name = f"{info.name.removesuffix('.dist-info')}-{tags[0]}.whl"
    kept = [path for path in (*Path(embedded.path).glob("*.*"), *info.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(folder / name, "w") as packed:
        for path in kept:
            if path.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                packed.write(path, str(path.relative_to(site)))
    (folder / "index.html").write_text(f'<a href="{name}">{name}</a>')
    return folder.parent


@pytest.mark.timeout(900)
def test_a_wheel_is_set_up_proved_and_used(tmp_path: Path, small_model: Path, index: Path) -> None:
    """Through `bringup setup`: pip fetches it from the index that was named; the proof is the real one."""
    home = Home(tmp_path / "home")
    words = ("--method", "wheel", "--backend", "cpu", "--index", f"file://{index}")
    done = run_cli(home, "setup", *words, "--proof-model", str(small_model), timeout_s=800)
    assert done.returncode == 0, done.stderr
    assert "a wheel for the CPU: it sees no graphics card" in done.stderr
    assert "19 requests that have ended engines: survived or refused" in done.stderr
    assert "a grammar of 50,000 brackets: kept out by the key" in done.stderr
    logged = " ".join(run_cli(home, "log").stdout.split())
    assert "-cpu-wheel: proved in " in logged and "the current engine now" in logged
    listed = json.loads(run_cli(home, "setup", "--list", "--json").stdout)
    (build,) = listed["builds"]
    assert build["method"] == "wheel" and build["backend"] == "cpu" and build["devices"] == []
    assert "SHA-256" in build["source"] and listed["unproved"] == []
    assert list((home.state / "build-work").iterdir()) == []
    engine = wheel_at(LiveMachine(), str(home.state / "builds" / build["name"]))
    assert engine is not None and engine.kind is EngineKind.EMBEDDED and engine.backend == "cpu"
    found = find_engines(LiveMachine(), configured_path=None, builds_folder=str(home.state / "builds"))
    assert found[0] == engine
    answered = run_cli(
        home, "run", str(small_model), "--prompt", "Say yes.", "--max-tokens", "2", "--json", timeout_s=300
    )
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["engine"]["path"] == engine.path


def test_a_wheel_without_the_card_is_refused(tmp_path: Path, index: Path) -> None:
    """Wanted with CUDA, it sees no card: it is not taken, and nothing is called CUDA."""
    choice = SetupChoice(Method.WHEEL, Backend.CUDA, ("asked for",), ("86",))
    with pytest.raises(EngineError) as caught:
        obtain_wheel(
            SourceWishes(),
            f"file://{index}",
            choice,
            str(tmp_path),
            driver=Absent("nvml"),
            on_step=lambda _: None,
        )
    assert caught.value.reference == "running-on-cpu" and "--index" in caught.value.hint


def test_an_index_without_the_package(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    home = Home(tmp_path / "home")
    words = ("--method", "wheel", "--backend", "cpu", "--index", f"file://{tmp_path / 'index'}")
    done = run_cli(home, "setup", *words, "--proof-model", "/dev/null")
    assert done.returncode != 0 and "Traceback" not in done.stderr


@pytest.mark.parametrize("index", ["example.org", "--upload", "ftp://x/y", "https://a b"])
def test_what_is_no_index(home_path: Path, index: str) -> None:
    done = run_cli(Home(home_path), "setup", "--dry-run", f"--index={index}")
    assert done.returncode == 2 and "expected an address" in done.stderr


@pytest.fixture
def home_path(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_package_folder_without_the_engine_is_not_run_by_another_name(tmp_path: Path) -> None:
    """The one beside bringup must not answer for it."""
    from bringup.engine.proof import list_devices

    build = EngineBuild(EngineKind.EMBEDDED, str(tmp_path), "1", "our build", str(tmp_path))
    assert list_devices(build, environment={}) == ()
    from bringup.engine.build import embedded_argv
    from bringup.machine.commands import run_bounded

    assert run_bounded(embedded_argv(build, "--devices"), environment={}, timeout_s=60) is None


def test_too_little_disk_for_a_ready_made_engine() -> None:
    from bringup.actions.setting_up.needs import Room, find_missing_for_ready

    room = Room(Known(200 * 2**20, "/state"), Known(2**35, "/proc/meminfo"))
    assert [one.fault for one in find_missing_for_ready(room, backend=Backend.CPU)] == ["disk-full"]
    assert find_missing_for_ready(Room(Known(2**40, "/state"), room.memory), backend=Backend.CUDA) == ()
