"""The model answers with garbage.

Symptom: one token without end (<pad>, GGGG, ????), mixed scripts, or NaN in the engine, while every
    status is fine.
Reason: the numbers are wrong before a word is chosen: a kernel's bug on this card or batch size,
    half-precision overflow, a broken quantisation, or a prompt in another template than the model was
    trained with.
Sources: https://github.com/ggml-org/llama.cpp/pull/8542
    https://github.com/ggml-org/llama.cpp/issues/15112
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.patterns import regex
from bringup.stack.lines import Line

SIGNS = (
    Sign(
        r"(?:<pad>){6,}",
        anchor="<pad><pad>",
        example="<pad><pad><pad><pad><pad><pad><pad><pad>",
    ),
    Sign(
        r"(?:<unk>){6,}",
        anchor="<unk><unk>",
        example="<unk><unk><unk><unk><unk><unk><unk><unk>",
    ),
    Sign(
        r"(?:<unused\d{1,10}>){6,}",
        anchor="<unused",
        example="<unused32><unused32><unused32><unused32><unused32><unused32>",
    ),
    Sign(
        r"(?:\[PAD\d{0,10}\]){6,}",
        anchor="][pad",
        example="[PAD151935][PAD151935][PAD151935][PAD151935][PAD151935][PAD151935]",
    ),
    Sign(
        r"(?:\[UNK_BYTE\w{0,40}\]|\[UNK\d{0,10}\]){6,}",
        anchor="][unk",
        example="[UNK][UNK][UNK][UNK][UNK][UNK][UNK]",
    ),
    Sign(
        r"GGML_ASSERT\(!isnan\(",
        anchor="ggml_assert(!isnan(",
        example="ggml-cpu/ops.cpp:4200: GGML_ASSERT(!isnan(wp[i])) failed",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bNaN (?:detected|found|in logits)|\b(?:found|detected) NaN\b",
        anchor="nan",
        example="llama_decode: detected NaN in the logits",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"probability tensor contains either",
        anchor="probability tensor contains either",
        example="RuntimeError: probability tensor contains either `inf`, `nan` or element < 0",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\blogits (?:are|is|contain(?:s|ing)?) (?:all )?nan\b|\bnan logits\b",
        anchor="nan",
        example="backend sampling: all logits are NaN",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\bgibber[ei]sh\b",
        anchor="gibber",
        example="with -ngl 33 the response is totally gibberish",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\bgarb(?:age|led)[ /](?:\w{1,12} ){0,2}(?:out ?put|respon|answer|text|token|repl|result|char)|"
        r"\b(?:out ?put|respon|answer|generat|repl|produc|return|spit|writ)\w{0,5}\b.{0,40}\bgarb(?:age\b|"
        r"led)",
        anchor="garb",
        example="since the update it answers with garbage",
        certainty=Certainty.LIKELY,
        unless=("garbage collect",),
        is_weak=True,
    ),
    Sign(
        r"(?i)\bnonsens\w{0,6} (?:\w{1,12} ){0,2}(?:out ?put|respon|answer|text|token|repl|result|char)|"
        r"\b(?:out ?put|respon|answer|generat|repl|produc|return|spit|writ)\w{0,5}\b.{0,40}\bnonsens",
        anchor="nonsens",
        example="the output is nonsense with the latest commit",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)g{10,}",
        anchor="gggggggggg",
        example="all that it says is `GGGGGGGGGGGG`",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:go(?:es|ne)?|went|going) off (?:the )?rails\b",
        anchor="off ",
        example="after some lines it went off the rails",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

STEPS = (
    Step(
        "Ask once more with temperature 0 and the model's own template (/v1/chat/completions).",
        safety=Safety.SAFE,
        touches="nothing",
        undo="none needed",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Try -fa off, then the default batches (-b 2048 -ub 512), then -ngl 0: what cures it names the"
        " kernel.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former options",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Update the engine, and take another quantisation or publisher of the model.",
        safety=Safety.SAFE,
        touches="the engine's folder, another model file",
        undo="the former ones",
        verify=("llama-server", "--version"),
    ),
)

_RUN_CHARACTERS = "abcdefghijklmnopqrstuvwxyz23456789@?!$%&/"
_RUN = regex(rf"(?i:([{_RUN_CHARACTERS}]))\1{{39,}}")


_PIECE = regex(r"\"delta\":\{\"content\":\"((?:[^\"\\]|\\.){1,24})\"|next token: {1,8}\d{1,7} '(.{1,24})'$")
_SAME_PIECES = 12
"""So many equal pieces of a stream one after the other are no language."""


def check(scene: Scene) -> Evidence | None:
    """One character, or one short word, repeated on and on, in a line or piece by piece."""
    line = _repeated_line(scene) or _repeated_piece(scene)
    if line is None:
        return None
    return Evidence(
        saw=line.text.strip()[:80],
        expected="words",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.LIKELY,
        decides="the same question with temperature 0 and -ngl 0",
    )


def _repeated_line(scene: Scene) -> Line | None:
    """A line that is one character, or one word, on and on."""
    has_run = scene.lines.has_any(*(character * 40 for character in _RUN_CHARACTERS))
    for line in scene.lines.lines:
        run = _RUN.search(line.text) if has_run else None
        if run is not None or _is_one_word(line.text):
            return line
    return None


def _repeated_piece(scene: Scene) -> Line | None:
    """The line at which a stream has brought the same piece so often that it is no language."""
    for anchor in ('"delta":{"content":"', "next token: "):
        piece, count = "", 0
        for line in scene.lines.with_anchor(anchor):
            found = _PIECE.search(line.text)
            now = "" if found is None else (found[1] or found[2])
            count = count + 1 if now == piece else 1
            piece = now
            if count >= _SAME_PIECES and piece.strip("-=*_.#~ \\n") != "":
                return line
    return None


def _is_one_word(text: str) -> bool:
    """Whether a long line says the same word thirty times or more, and nothing else."""
    if len(text) < 80 or len(set(text.split(None, 2)[:2])) != 1:
        return False
    words = text.split()
    return len(words) >= 30 and len(set(words)) == 1 and words[0].strip("=-.#*_~|+:0123456789") != ""
