"""The model could not be downloaded.

Symptom: HTTP 401, 403 or 404 from the hub, a name that cannot be resolved, a broken transfer, a wrong
    checksum.
Reason: the server refused or did not know the address, or the connection failed. 401 and 403 mean a gated
    or private repository (or a misspelled one), 404 a name or file that does not exist there; a checksum
    that differs means that what came is not what was published.
Sources: https://github.com/vtuber-plan/olah/issues/85
    https://huggingface.co/docs/hub/models-gated
Limits: "failed to download model from" is also what a build says that cannot parse a file that it did
    download.
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Step
from bringup.faults.model._download_signs import SIGNS as SIGNS

EXPLAINS = ("model-file-unreadable", "gguf-bad-magic", "gguf-truncated")

STEPS = (
    Step(
        "See whether the hub answers from here: `curl -I https://huggingface.co`, for ollama"
        " `curl -I https://registry.ollama.ai`.",
        safety=Safety.LOOK,
    ),
    Step(
        "Start the same download again: ollama, hf and llama.cpp go on where a broken connection stopped"
        " them.",
        safety=Safety.SAFE,
        touches="the unfinished download",
        undo="none needed",
        verify=("bringup", "models"),
    ),
    Step(
        "Check repository and file name on the model's page; for a gated model accept its terms there"
        " and log in (`hf auth login`, or HF_TOKEN in the engine's environment).",
        safety=Safety.SAFE,
        touches="your token on this machine",
        undo="hf auth logout",
        verify=("bringup", "models"),
    ),
    Step(
        "For a checksum that differs: delete the part that is there and pull again. If it differs each time,"
        " a proxy, a full or failing disk or bad main memory changes the bytes: try another network, then"
        " another disk.",
        safety=Safety.SAFE,
        touches="the unfinished download",
        undo="none needed: it is downloaded anew",
        verify=("bringup", "models"),
    ),
    Step(
        "Unset HF_ENDPOINT, MODEL_ENDPOINT and proxy variables that point to a mirror which lacks the"
        " file, and pull again.",
        safety=Safety.SAFE,
        touches="the environment of this start",
        undo="set them again",
        verify=("bringup", "models"),
    ),
)
