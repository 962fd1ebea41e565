"""Engines that others built: a wheel through pip, a release archive. Put into a folder, not proved yet."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from bringup.actions.setting_up.choice import SetupChoice, unfit
from bringup.actions.setting_up.source import SourceWishes
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.environment import clean_environment
from bringup.engine.find import SITE, read_version, wheel_engine
from bringup.engine.proof import list_devices
from bringup.engine.source_build import Backend
from bringup.engine.wheels import fitting_cuda, wheel_table
from bringup.errors import EngineError, FileTrouble, WrongUse
from bringup.machine import files, folders, hashing, paths, pip, release_archive, scratch
from bringup.machine.protocol import Machine
from bringup.reading import Known, Reading
from bringup.records import dataclass
from bringup.stack.build import probe_engine
from bringup.store.progress import TransferProgress

_LIMIT_S: Final = 1800.0
_HASH: Final = re.compile(r"(?P<place>.+?)(?:#sha256=(?P<sha256>[0-9a-fA-F]{64}))?")
_ENDINGS: Final = (".tar.gz", ".tgz", ".tar.xz", ".zip")


@dataclass(frozen=True, slots=True)
class ReadyEngine:
    """An engine that was put into a folder of ours.

    Attributes:
        build: the engine there.
        folder: what becomes the build's folder.
        name: that the build would get.
        words: where it is from and which bytes they were.
        cuda_archs: compute capabilities times ten that its files name; empty where they name none.
    """

    build: EngineBuild
    folder: str
    name: str
    words: str
    cuda_archs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Archive:
    """A release archive as typed: `place` is a path or a URL; `sha256` what its bytes have to be."""

    place: str
    sha256: str | None

    @property
    def is_remote(self) -> bool:
        """Whether it has to be fetched."""
        return self.place.startswith(("https://", "http://"))


def parse_archive(source: str | None) -> Archive:
    """`FILE`, `FILE#sha256=HEX` or `URL#sha256=HEX`.

    Raises:
        WrongUse: nothing was named, or a URL without the hash of what is behind it.
    """
    match = _HASH.fullmatch(source or "")
    if match is None:
        raise WrongUse(
            "--method release needs the archive: --source FILE, or --source URL#sha256=HEX",
            hint="llama.cpp's releases are listed at its repository; each file has its SHA-256 beside it.",
            reference="no-archive",
        )
    place, sha256 = match["place"], match["sha256"]
    archive = Archive(place, sha256.lower() if sha256 else None)
    if archive.is_remote and sha256 is None:
        raise WrongUse(
            "an archive of the web needs the hash of its bytes: --source URL#sha256=HEX",
            context=(f"given: {place[:200]}",),
            hint="The page of the file shows its SHA-256. Without it anybody on the way could change it.",
            reference="no-hash",
        )
    if archive.is_remote and not urlsplit(place).path.lower().endswith(_ENDINGS):
        raise WrongUse(f"--source {place[:200]}: no archive", hint=f"Expected one of {', '.join(_ENDINGS)}.")
    if not archive.is_remote and not files.exists(place):
        raise WrongUse(
            f"--source {place[:200]}: there is no such file",
            hint="Give the archive's path as it is here, or its address: URL#sha256=HEX.",
            reference="no-such-file",
        )
    return archive


def obtain_release(
    archive: Archive,
    choice: SetupChoice,
    machine: Machine,
    work: str,
    *,
    on_step: Callable[[str], None],
    on_progress: Callable[[TransferProgress], None],
) -> ReadyEngine:
    """Fetch an archive where it has to be, check its hash, unpack what runs, and look at it by its files.

    Raises:
        DownloadError, FileTrouble: it could not be had, or it is not the one of the hash, or no such archive.
        EngineError: by its files it is not what this machine should have.
    """
    path = archive.place
    if archive.is_remote:
        from bringup.store.plain_file import fetch_plain_file

        path = paths.join(work, f"archive{_ending(urlsplit(path).path)}")
        assert archive.sha256 is not None, "parse_archive saw to it"
        on_step(f"fetching {archive.place[:120]}")
        fetch_plain_file(archive.place, path, archive.sha256, on_progress=on_progress)
    on_step("checking its bytes")
    found = hashing.sha256_of(path)
    if archive.sha256 not in (None, found):
        raise FileTrouble(
            f"{path}: its bytes are not those of the hash; nothing was unpacked",
            context=(f"expected SHA-256: {archive.sha256}", f"found:            {found}"),
            reference="checksum-mismatch",
        )
    staged = paths.join(work, "staged")
    scratch.remove_tree(staged)
    on_step("unpacking it")
    release_archive.unpack_release(path, staged)
    program = paths.join(staged, "llama-server")
    seen = probe_engine(machine, program)
    why = unfit(seen, choice.backend, choice.cuda_archs)
    if why is not None:
        raise EngineError(
            f"this release does not serve: {why}",
            context=(f"its backends: {_words(seen.backends)}", f"compiled for: {_words(seen.cuda_archs)}"),
            hint="Take another archive, or let it be built: bringup setup --method source.",
            reference="engine-not-usable",
        )
    version = read_version(machine, program)
    build = EngineBuild(EngineKind.EXTERNAL, program, version, "our build")
    archs = seen.cuda_archs.value if isinstance(seen.cuda_archs, Known) else ""
    name = f"{version or 'llama'}-{choice.backend.value}-release"
    words = f"the archive {paths.basename(archive.place)}, SHA-256 {found}"
    return ReadyEngine(build, staged, name, words, tuple(filter(None, archs.split(";"))))


def obtain_wheel(
    wishes: SourceWishes,
    index: str | None,
    choice: SetupChoice,
    work: str,
    *,
    driver: Reading[tuple[int, int]],
    on_step: Callable[[str], None],
) -> ReadyEngine:
    """Fetch the wheel, unpack it into a folder of its own, and ask it which cards it sees.

    Raises:
        DownloadError: pip could not.
        EngineError: it does not compute on what this machine should have.
    """
    requirement = wheel_table().requirement(wishes.version)
    on_step(f"fetching {requirement} through pip ({_where(index)})")
    staged = paths.join(work, "staged")
    scratch.remove_tree(staged)
    site = paths.join(staged, SITE)
    with scratch.scratch_folder(work, "wheel") as folder:
        wheel = pip.download_engine_wheel(requirement, folder, index=index, limit_s=_LIMIT_S)
        sha256 = hashing.sha256_of(wheel)
        words = f"{paths.basename(wheel)} from {_where(index)}, SHA-256 {sha256}"
        on_step(f"unpacking {paths.basename(wheel)}")
        files.make_private_folder(staged)
        pip.unpack_wheel(wheel, site, folder, limit_s=_LIMIT_S)
    build = wheel_engine(site, choice.backend.value)
    if build is None:
        raise EngineError(
            f"{words}: there is no {wheel_table().package} in it", reference="engine-not-usable"
        )
    environment = clean_environment(folders.all_variables(), is_external=False).variables
    devices = list_devices(build, environment=environment)
    kind = choice.backend.value
    if choice.backend is not Backend.CPU and not any(one.lower().startswith(kind) for one in devices):
        raise _without_card(words, choice, driver, devices)
    what = "it sees " + ", ".join(devices) if devices else "a wheel for the CPU: it sees no graphics card"
    on_step(what)
    name = f"{build.version or 'wheel'}-{kind}-wheel"
    return ReadyEngine(build, staged, name, f"{words}; {what}", choice.cuda_archs)


def _without_card(
    words: str, choice: SetupChoice, driver: Reading[tuple[int, int]], devices: tuple[str, ...]
) -> EngineError:
    kind = choice.backend.value.upper()
    fitting = fitting_cuda(choice.cuda_archs, driver.value if isinstance(driver, Known) else None)
    named = f" For this card and driver those for CUDA {' or '.join(fitting)} serve." if fitting else ""
    return EngineError(
        f"the wheel sees no card of {kind}: it would compute on the CPU",
        context=(words, *(f"it lists: {one}" for one in devices)),
        hint=f"Name the index that has the wheels with {kind} (--index URL); the page of the package"
        f" {wheel_table().package} lists them.{named} Without the card: --backend cpu.",
        reference="running-on-cpu",
    )


def _where(index: str | None) -> str:
    """In words that hold no secret of an address."""
    if index is None:
        return "the index that pip is set to"
    parts = urlsplit(index)
    return f"the index at {parts.hostname}" if parts.hostname else "an index of this disk"


def _ending(path: str) -> str:
    return next(ending for ending in _ENDINGS if path.lower().endswith(ending))


def _words(reading: Reading[str] | Reading[tuple[str, ...]]) -> str:
    if not isinstance(reading, Known):
        return "they do not say"
    return reading.value if isinstance(reading.value, str) else ", ".join(reading.value)
