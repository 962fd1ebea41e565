"""The model could not be downloaded.

Symptom: HTTP 401, 403 or 404 from the hub, a name that cannot be resolved, a broken transfer, a wrong
    checksum.
Reason: the server refused or did not know the address, or the connection failed. 401 and 403 mean a gated
    or private repository (or a misspelled one), 404 a name or file that does not exist there.
Sources: https://github.com/vtuber-plan/olah/issues/85
    https://huggingface.co/docs/hub/models-gated
Limits: "failed to download model from" is also what a build says that cannot parse a file that it did
    download.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

_OTHER_CAUSE = (
    "invalid ggml type",
    "elements per row",
    "unknown model architecture",
    "no space left",
    "invalid magic",
)

SIGNS = (
    Sign(
        r"(?:GET|HEAD) failed \(\d{3}\)|response code: (?:4|5)\d\d|status(?: code)?:? ?(?:401|403|404|"
        r"416|429|5\d\d)\b.*"
        r"(?:hugging|hf\.co|modelscope)",
        anchor="e",
        example="0.00.073.098 E get_repo_commit: error: GET failed (404): Sorry, we can't find the page",
    ),
    Sign(
        r"(?:40[134]|429|50\d) (?:Client|Server) Error.*(?:hugging|hf\.co|modelscope)",
        anchor=" error",
        example="requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url:"
        " https://huggingface.co/meta-llama/Llama-3.2-3B/resolve/main/config.json",
    ),
    Sign(
        r"GatedRepoError|RepositoryNotFoundError|EntryNotFoundError|LocalEntryNotFoundError|"
        r"[Cc]annot access gated repo",
        anchor="e",
        example="huggingface_hub.errors.GatedRepoError: 401 Client Error.",
    ),
    Sign(
        r"Access to model .* is restricted|Invalid username or password\.|Repository Not Found for url",
        anchor="e",
        example="Access to model google/gemma-3-4b-it is restricted. You must have access to it and be"
        " authenticated",
    ),
    Sign(
        r"error from HF API|failed to get manifest|no GGUF files? found in|not found in repository",
        anchor="f",
        example="error: error from HF API (https://huggingface.co/v2/a/b/manifests/latest), response"
        " code: 404",
    ),
    Sign(
        r"Could not resolve host|Temporary failure in name resolution|lookup (?:registry\.ollama\.ai|"
        r"huggingface\.co)",
        anchor="o",
        example="curl: (6) Could not resolve host: huggingface.co",
        unless=("localhost:",),
    ),
    Sign(
        r"pull model manifest|pull manifest failed|max retries exceeded",
        anchor="m",
        example="Error: pull model manifest: Get"
        ' "https://registry.ollama.ai/v2/library/x/manifests/latest": dial tcp:'
        " i/o timeout",
        unless=("manifest: 412", "no space left"),
    ),
    Sign(
        r"digest mismatch, file must be downloaded again|digest mismatch.*got sha256",
        anchor="digest mismatch",
        example="Error: digest mismatch, file must be downloaded again: want sha256:1a, got sha256:e3b0c442",
        unless=("no space left",),
    ),
    Sign(
        r"download failed(?: after \d+ attempts|: .*\(status: )|model validation failed, unable to download",
        anchor="download",
        example="common_download_file_single_online: download failed after 3 attempts",
    ),
    Sign(
        r"required file is not available in cache \(offline mode\)|"
        r"cannot find the requested files in the disk cache",
        anchor="cache",
        example="error: required file is not available in cache (offline mode): model.gguf",
    ),
    Sign(
        r"failed to download model from|exactly one out metadata, path_model",
        anchor="model",
        example="error: failed to download model from https://huggingface.co/a/b/resolve/main/c.gguf",
        certainty=Certainty.LIKELY,
        unless=_OTHER_CAUSE,
    ),
)

EXPLAINS = ("model-file-unreadable", "gguf-bad-magic", "gguf-truncated")

STEPS = (
    Step(
        "See whether the hub answers from here.",
        ("curl", "-sI", "https://huggingface.co"),
        safety=Safety.LOOK,
    ),
    Step(
        "Check repository and file name on the model's page; for a gated model accept its terms there"
        " and log in"
        " (`hf auth login`, or HF_TOKEN in the engine's environment).",
        safety=Safety.SAFE,
        touches="your token on this machine",
        undo="hf auth logout",
    ),
    Step(
        "Unset HF_ENDPOINT, MODEL_ENDPOINT and proxy variables that point to a mirror which lacks the"
        " file, and pull"
        " again.",
        safety=Safety.SAFE,
        touches="the environment of this start",
        undo="set them again",
    ),
)
