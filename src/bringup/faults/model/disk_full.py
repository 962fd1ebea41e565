"""The disk, or the temporary folder, is full.

Symptom: "no space left on device" in a download, a build or a start; often only a vague message follows.
Reason: a write found no room: in the model's folder, in the build's, or in /tmp, which is often a small
    file system in memory where programs unpack their parts.
Sources: https://github.com/ollama/ollama/issues/15547
    https://github.com/ollama/ollama/issues/7012
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.machine.protocol import DiskSpace
from bringup.reading import Known

SIGNS = (
    Sign(
        r"[Nn]o space left on device",
        anchor="no space left on device",
        example="write /usr/share/ollama/.ollama/models/blobs/sha256-4c27-partial: no space left on device",
        unless=("file watchers", "inotify", "/dev/shm/nccl", "/boot/"),
    ),
    Sign(
        r"ENOSPC(?!: System limit)",
        anchor="enospc",
        example="npm ERR! nospc ENOSPC: no space left on device, write",
        unless=("file watchers", "inotify", "/dev/shm/nccl", "/boot/"),
    ),
    Sign(
        r"[Nn]ot enough (?:free )?disk space|[Ii]nsufficient disk space|not enough space on the disk",
        anchor="space",
        example="RuntimeError: Not enough free disk space to download the file.",
    ),
    Sign(
        r"Disk quota exceeded",
        anchor="disk quota exceeded",
        example="cp: error writing 'model.gguf': Disk quota exceeded",
    ),
    Sign(
        r"^\S{1,80}\s+\S{1,80}\s+\S{1,80}\s+0\s+100% /\S{0,80}",
        anchor="100% /",
        example="/dev/nvme0n1p2  468G  444G     0 100% /",
        certainty=Certainty.LIKELY,
        unless=("snap", "/dev/loop"),
    ),
    Sign(
        r"[Nn]ot enough free space\b",
        anchor="ot enough free space",
        example="Error: not enough free space on disk",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"curl: \(23\) ",
        anchor="curl: (23) ",
        example="curl: (23) Failure writing output to destination",
        certainty=Certainty.LIKELY,
        unless=("permission denied",),
    ),
)

EXPLAINS = ("download-failed", "gguf-truncated", "server-not-ready", "model-file-unreadable")

STEPS = (
    Step("See which file system is full.", ("df", "-h"), safety=Safety.LOOK),
    Step(
        "List models that you no longer need (`bringup models` names duplicates) and delete them with"
        " the program that keeps them.",
        safety=Safety.RISKY,
        touches="model files",
        undo="none: a deleted model must be downloaded again",
        verify=("df", "-h"),
    ),
    Step(
        "Point the download or the temporary folder to a larger disk: OLLAMA_MODELS, HF_HOME,"
        " LLAMA_CACHE or TMPDIR.",
        safety=Safety.SAFE,
        touches="the environment of the program",
        undo="unset the variable",
        verify=("df", "-h"),
    ),
)

_NOTHING_BYTES = 256 * 1024**2
_LITTLE_BYTES = 5 * 1024**3


def check(scene: Scene) -> Evidence | None:
    """A file system of this machine that is full, or will be with the next model."""
    found = [
        (path, reading.value)
        for path, reading in scene.stack.hardware.disks
        if path != "/boot" and isinstance(reading, Known) and _is_short(reading.value)
    ]
    if not found:
        return None
    path, space = min(found, key=lambda pair: pair[1].free_bytes)
    full = space.free_bytes < _NOTHING_BYTES
    free_gib, total_gib = space.free_bytes / 1024**3, space.total_bytes / 1024**3
    return Evidence(
        saw=f"{free_gib:.1f} of {total_gib:.0f} GiB free on the disk of {path}",
        expected="room for a model, 5 GiB or more",
        sources=(f"file system of {path}",),
        certainty=Certainty.SURE if full else Certainty.LIKELY,
        decides="" if full else "df -h",
    )


def _is_short(space: DiskSpace) -> bool:
    if space.total_bytes < 2 * _NOTHING_BYTES:
        return False
    return space.free_bytes < _NOTHING_BYTES or (
        space.free_bytes < _LITTLE_BYTES and space.free_bytes < space.total_bytes * 0.02
    )
