"""Options of llama.cpp that were renamed or dropped, and the line that refuses one."""

from __future__ import annotations

import re
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass
from bringup.stack.lines import Line, Lines

REMOVED_OPTIONS: Final[dict[str, str]] = {
    "--draft-max": "--spec-draft-n-max",
    "--draft-n": "--spec-draft-n-max",
    "--draft": "--spec-draft-n-max",
    "--draft-min": "--spec-draft-n-min",
    "--draft-n-min": "--spec-draft-n-min",
    "--draft-p-min": "--spec-draft-p-min",
    "--spec-ngram-size-n": "--spec-ngram-mod-n-match",
    "--spec-ngram-size-m": "--spec-ngram-map-k-size-m",
    "--spec-ngram-min-hits": "the option of the respective kind",
    "--mmap": "--load-mode mmap",
    "--no-mmap": "--load-mode none",
    "--mlock": "--load-mode mlock",
    "--direct-io": "--load-mode dio",
    "-dio": "--load-mode dio",
    "--no-direct-io": "--load-mode mmap",
    "--instruct": "-cnv",
    "-ins": "-cnv",
    "--chatml": "-cnv",
    "-cml": "-cnv",
    "--gqa": "nothing: the model file says it",
    "-gqa": "nothing: the model file says it",
    "-eps": "nothing: the model file says it",
    "--rms-norm-eps": "nothing: the model file says it",
    "--memory-f32": "--cache-type-k f32",
    "--mul-mat-q": "nothing: it is the default",
    "-mmq": "nothing: it is the default",
    "--no-mul-mat-q": "nothing: it is gone",
    "--low-vram": "--no-kv-offload",
    "--log-append": "--log-file",
    "--logdir": "--log-file",
    "-ld": "--log-file",
    "--system-prompt-file": "a system message in the request",
    "-spf": "a system message in the request",
    "--slots-endpoint-disable": "--no-slots",
    "--no-penalize-nl": "nothing: it is gone",
    "--penalize-nl": "nothing: it is gone",
    "--tfs": "nothing: it is gone",
}
"""Options that newer builds spell otherwise or no longer have, with what does the same now."""

_SHORT: Final = frozenset(
    (
        *("bs", "cb", "cd", "cmoe", "cram", "ctk", "ctv", "dev", "dio", "fa", "fit", "hf", "hff", "hfr"),
        *("hft", "kvu", "lm", "lv", "md", "mg", "mm", "mu", "ncmoe", "ngl", "ngld", "nkvo", "np", "ot"),
        *("rea", "sm", "sp", "st", "tb", "to", "ts", "ub"),
    )
)
"""Short options of several letters, which take one hyphen."""

_VALUED_SINCE: Final = frozenset({"-fa", "--flash-attn"})
"""Switches of old that take a value now, and so swallow the next word."""

_ENGINES: Final = (
    *("llama", "ggml", ".gguf", "ollama", "koboldcpp", "error while handling"),
    *("error: unknown argument: -", "error: invalid argument: -"),
)
"""What only an engine prints; the last two are how llama.cpp words a refusal, and hardly another program."""

_UNKNOWN: Final = regex(
    r"(?:unknown|invalid|unrecognized|unsupported) (?:argument|option|(?:shorthand )?flag)s?:? "
    r"['\"`]?(--?[A-Za-z][\w-]*)",
    re.IGNORECASE,
)
_BY_VALUE: Final = regex(r'error while handling (?:argument|environment variable) "(-?-?[A-Za-z][\w-]*)"')
_NO_REFUSAL: Final = regex(
    r"built-in templates|(?:sto[a-z]{1,2}|unknown buffer type)\s*$|invalid device: |failed to open file|"
    r"(?:file |path )?(?:not found|does not exist)|not a directory|expected value for argument|"
    r"must be (?:between|finite|at least|non-negative)|requires at least"
)
"""A value that no build would take: a file or a device that is not there, a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An option that a llama.cpp program refused.

    `by_value`: it knows the option and not what follows it.
    """

    line: Line
    option: str
    by_value: bool

    @property
    def has_hyphen_too_many(self) -> bool:
        """Whether it is a short option after two hyphens: `--ngl` for `-ngl`."""
        return self.option.startswith("--") and self.option[2:] in _SHORT

    @property
    def instead(self) -> str:
        """What to write instead, in a few words."""
        if self.has_hyphen_too_many:
            return f"{self.option[1:]}, with one hyphen"
        return f"in newer builds: {REMOVED_OPTIONS.get(self.option, 'see --help')}"

    @property
    def changed(self) -> bool:
        """Whether other builds have known this spelling: the option was renamed, dropped or given a value."""
        if "has been removed" in self.line.text:
            return True
        if not self.by_value and ("_" in self.option or self.has_hyphen_too_many):
            return True
        return self.option in (_VALUED_SINCE if self.by_value else REMOVED_OPTIONS)


def refused_option(lines: Lines) -> Refusal | None:
    """The first option that a llama.cpp program refused."""
    if not lines.has_any(*_ENGINES):
        return None
    for anchor in ("argument", "option", "flag", "error while handling"):
        for line in lines.with_anchor(anchor):
            unknown = _UNKNOWN.search(line.text)
            match = unknown or _BY_VALUE.search(line.text)
            if match and _NO_REFUSAL.search(line.text) is None:
                return Refusal(line, match[1], unknown is None)
    return None
