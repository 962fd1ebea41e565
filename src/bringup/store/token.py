"""The user's own hub token, read only after the hub asked for one and the user said yes."""

from __future__ import annotations

import re

from bringup.errors import WrongUse
from bringup.machine import files, paths
from bringup.machine.folders import home, variable

_SHAPE = re.compile(r"[\x21-\x7e]{4,512}")
_LIMIT_BYTES = 4096


def find_user_token() -> str | None:
    """The token of `HF_TOKEN`, or the one that `hf auth login` has stored; `None` when there is none.

    Raises:
        WrongUse: what is there cannot be a token (the text itself is never shown).
        FileTrouble: the file cannot be read.
    """
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        text = variable(name)
        if text is not None:
            return _checked(text, name)
    cache = variable("XDG_CACHE_HOME") or f"{home()}/.cache"
    path = variable("HF_TOKEN_PATH") or paths.join(
        variable("HF_HOME") or paths.join(cache, "huggingface"), "token"
    )
    data = files.read_small(paths.absolute(path), limit_bytes=_LIMIT_BYTES)
    return None if data is None else _checked(data.decode("utf-8", "replace"), path)


def _checked(text: str, source: str) -> str:
    text = text.strip()
    if not _SHAPE.fullmatch(text):
        raise WrongUse(f"what {source} holds is not a hub token", reference="bad-token")
    return text
