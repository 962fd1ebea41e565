"""A saved KV state is restored without an error and yet not used.

Symptom: /slots?action=restore answers n_restored, but the next request reads its whole prompt again.
Reason: the restored cells serve only a prompt that begins with exactly the saved tokens, in the slot that
    was restored. A sliding-window or recurrent model cannot go back to them, and a request that another
    slot takes, or a prompt that differs early, finds nothing.
Sources: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    https://github.com/ggml-org/llama.cpp/pull/13194
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.patterns import regex

EXPLAINS = ("prompt-cache-not-reused",)

SIGNS = (
    Sign(
        r"not enough cells in kv cache to restore state|failed to restore kv cache\b",
        anchor="kv cache",
        example="state_read_meta: not enough cells in kv cache to restore state (12000 > 4096)",
    ),
    Sign(
        r"mismatched (?:(?:key|value) (?:type|row size|element size)|layer count) \(",
        anchor="mismatched ",
        example="state_read_data: mismatched key type (8 != 1, layer 0)",
        needs=("state_read",),
    ),
    Sign(
        r"[Uu]nable to restore slot\b|invalid slot save file",
        anchor="slot",
        example="No available space in KV cache or invalid slot save file",
    ),
    Sign(
        r"failed to load (?:the )?session file",
        anchor="session file",
        example="main: failed to load session file 'prompt.cache'",
    ),
)

STEPS = (
    Step(
        "Send the request to the slot that was restored (id_slot in the request, with cache_prompt true).",
        safety=Safety.SAFE,
        touches="your client",
        undo="leave it out",
        verify=("bringup", "ps"),
    ),
    Step(
        "Send exactly the prompt that was saved and add to its end; for a model with a sliding window"
        " save and restore with --swa-full.",
        safety=Safety.SAFE,
        touches="your start script; memory of the GPU",
        undo="leave the option out",
        verify=("bringup", "ps"),
    ),
)


_RESTORED = r"\"?n_restored\"?[:= ]+([1-9]\d*)|restored (\d+) tokens|session with prompt size of (\d+)"
_ANEW = regex(
    r"\[0, end\)|n_past = 0\b|forcing full prompt re-processing|\"?cache_n\"?: ?0\b|cached_tokens\"?: ?0\b"
)
_READ = regex(r"prompt eval time = .* ms / +(\d+) tokens")


def check(scene: Scene) -> Evidence | None:
    """Cells were restored, and the prompt after that was read from its beginning."""
    anchor = "restored" if scene.lines.has("restored") else "session with prompt size"
    restored = scene.lines.search(_RESTORED, anchor=anchor)
    if restored is None:
        return None
    count = int(next(number for number in restored[1].groups() if number))
    after = (line for line in scene.lines.lines if line.number > restored[0].number)
    hit = next((line for line in after if _reads_anew(line.text, count)), None)
    if hit is None:
        return None
    return Evidence(
        saw=f"{restored[0].text.strip()[:120]}; then {hit.text.strip()[:120]}",
        expected="the next prompt to start behind the restored tokens",
        sources=(f"{restored[0].source}, line {restored[0].number}", f"{hit.source}, line {hit.number}"),
        certainty=Certainty.LIKELY,
        decides="the same prompt with id_slot of the restored slot",
        strength=8,
    )


def _reads_anew(text: str, restored_tokens: int) -> bool:
    """Whether a line says that a prompt was computed from its beginning, or as much as had been restored."""
    read = _READ.search(text)
    return _ANEW.search(text) is not None or (
        read is not None and restored_tokens > 500 and int(read[1]) > 0.9 * restored_tokens
    )
