"""The disk, or the temporary folder, is full.

Symptom: "no space left on device" in a download, a build or a start; often only a vague message follows.
Reason: a write found no room: in the model's folder, in the build's, or in /tmp, which is often a small
    file system in memory where programs unpack their parts.
Sources: https://github.com/ollama/ollama/issues/15547
    https://github.com/ollama/ollama/issues/7012
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

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
        r"^\S+\s+\S+\s+\S+\s+0\s+100% /\S*",
        anchor="100% /",
        example="/dev/nvme0n1p2  468G  444G     0 100% /",
        certainty=Certainty.LIKELY,
        unless=("snap", "/dev/loop"),
    ),
)

EXPLAINS = ("download-failed", "gguf-truncated", "server-not-ready", "model-file-unreadable")

STEPS = (
    Step("See which file system is full.", ("df", "-h"), safety=Safety.LOOK),
    Step(
        "List models that you no longer need (`bringup models` names duplicates) and delete them with"
        " the program"
        " that keeps them.",
        safety=Safety.RISKY,
        touches="model files",
        undo="none: a deleted model must be downloaded again",
    ),
    Step(
        "Point the download or the temporary folder to a larger disk: OLLAMA_MODELS, HF_HOME,"
        " LLAMA_CACHE or TMPDIR.",
        safety=Safety.SAFE,
        touches="the environment of the program",
        undo="unset the variable",
    ),
)
