"""What llama.cpp's options are called in the programs that bring it along: a cure in that one's words."""

from __future__ import annotations

import dataclasses
from typing import Final

from bringup.faults._diagnose import Diagnosis, Finding, first_look
from bringup.faults._fault import Safety, Step
from bringup.patterns import regex
from bringup.records import dataclass
from bringup.stack.lines import Lines

_OPTION: Final = regex(r"(?<![\w-])--?[a-z][a-z-]{0,40}(?![\w-])")
_SAME: Final = {
    **{"--ctx-size": "-c", "-ctv": "-ctk", "-b": "-ub", "--parallel": "-np", "--threads": "-t"},
    **{"--flash-attn": "-fa", "--n-gpu-layers": "-ngl", "--tensor-split": "-ts"},
}
"""Spellings that are one setting in a program that wraps llama.cpp."""

_VERSION: Final = ("llama-server", "--version")
_OWN: Final = (
    *("llama-server -", "llama-server.exe", "llama-cli -", "llama-bench -"),
    *("build/bin/llama", "/app/llama"),
)
"""Who started llama.cpp's own programs passes their options."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program around llama.cpp.

    Attributes:
        name: as people call it.
        signs: anchors that only its own output, paths or names contain.
        options: llama.cpp's option to what it is called there.
        where: where its users set them.
        version: argv that prints its version; empty where only a window shows it.
    """

    name: str
    signs: tuple[str, ...]
    options: dict[str, str]
    where: str
    version: tuple[str, ...] = ()


_OLLAMA_SIGNS: Final = (
    *("llama runner", "[gin] ", ".ollama/", "ollama run", "ollama pull", "ollama serve", "ollama["),
    *("source=gpu.go", "source=routes.go", "source=types.go", "source=images.go"),
)

PROGRAMS: Final = (
    Program(
        "LM Studio",
        ("lmstudio", "lm studio", "lmsinternal", "\U0001f972 failed to load"),
        {
            **{"-c": "Context Length", "-ngl": "GPU Offload", "-fa": "Flash Attention"},
            **{"-ctk": "K and V Cache Quantization Type", "-ub": "Evaluation Batch Size"},
            **{"-t": "CPU Thread Pool Size", "--mlock": "Keep Model in Memory", "--no-mmap": "Try mmap"},
        },
        "in the settings with which it loads the model",
    ),
    Program(
        "KoboldCpp",
        ("koboldcpp",),
        {
            **{"-c": "--contextsize", "-ngl": "--gpulayers", "-fa": "--flashattention", "-ctk": "--quantkv"},
            **{"-ub": "--blasbatchsize", "-t": "--threads", "-ts": "--tensor_split", "--mlock": "--usemlock"},
        },
        "on its command line or in its launcher",
    ),
    Program(
        "ollama",
        _OLLAMA_SIGNS,
        {
            **{"-c": "num_ctx or OLLAMA_CONTEXT_LENGTH", "-np": "OLLAMA_NUM_PARALLEL", "-ngl": "num_gpu"},
            **{"-fa": "OLLAMA_FLASH_ATTENTION=1", "-ctk": "OLLAMA_KV_CACHE_TYPE", "-ub": "num_batch"},
            **{"-t": "num_thread", "--no-mmap": "use_mmap", "--fit-target": "OLLAMA_GPU_OVERHEAD"},
        },
        "in small letters a model's parameter (`/set parameter`, a Modelfile), in capitals the service's"
        " environment",
        ("ollama", "--version"),
    ),
    Program(
        "llama-cpp-python",
        ("llama_cpp/", "llama-cpp-python", "llama_cpp.llama", "from llama_cpp import"),
        {
            **{"-c": "n_ctx", "-ngl": "n_gpu_layers", "-fa": "flash_attn", "-ctk": "type_k and type_v"},
            **{
                "-ub": "n_batch and n_ubatch",
                "-t": "n_threads",
                "-ts": "tensor_split",
                "--mlock": "use_mlock",
            },
            **{"--no-mmap": "use_mmap"},
        },
        "as arguments of Llama(...)",
    ),
)


def program_of(lines: Lines) -> Program | None:
    """The program around llama.cpp that a text comes from; `None` for llama.cpp itself or none that shows."""
    if lines.has_any(*_OWN):
        return None
    return next((program for program in PROGRAMS if lines.has_any(*program.signs)), None)


def in_its_words(found: Diagnosis, lines: Lines) -> Diagnosis:
    """The same diagnosis, its cures told in the words of the program that the text comes from."""
    program, findings = program_of(lines), found.findings
    if not lines.has_any("ollama", *_OLLAMA_SIGNS):
        findings = tuple(_without_ollama(finding) for finding in findings)
    if program is not None:
        findings = tuple(_told_anew(finding, program) for finding in findings)
    return dataclasses.replace(found, findings=findings)


def _without_ollama(finding: Finding) -> Finding:
    """The finding without looks that ask ollama: the text has nothing to do with it."""
    steps = finding.evidence.steps or finding.fault.steps
    kept = tuple(step for step in steps if step.command[:1] != ("ollama",))
    if len(kept) == len(steps):
        return finding
    decides = finding.evidence.decides
    if decides.startswith("ollama "):
        decides = first_look(kept)
    evidence = dataclasses.replace(finding.evidence, steps=kept, decides=decides)
    return dataclasses.replace(finding, evidence=evidence)


def _told_anew(finding: Finding, program: Program) -> Finding:
    steps = [_asked_of(program, step) for step in finding.evidence.steps or finding.fault.steps]
    naming = [number for number, step in enumerate(steps) if _options(step.say)]
    told = _translation(program, [steps[number] for number in naming])
    if told is not None:
        steps.insert(naming[-1] + 1, told)
    decides = finding.evidence.decides
    if decides == " ".join(_VERSION):
        decides = " ".join(program.version) or f"the version that {program.name} shows"
    evidence = dataclasses.replace(finding.evidence, steps=tuple(steps), decides=decides)
    return dataclasses.replace(finding, evidence=evidence)


def _asked_of(program: Program, step: Step) -> Step:
    """A step that asks llama-server for its version asks the program, or its user."""
    verify = program.version if step.verify == _VERSION else step.verify
    if step.command != _VERSION:
        return dataclasses.replace(step, verify=verify)
    say = step.say if program.version else f"See the version of {program.name} and of its llama.cpp."
    return dataclasses.replace(step, say=say, command=program.version, verify=verify)


def _translation(program: Program, steps: list[Step]) -> Step | None:
    """What the options in the steps are called there, without what the steps say themselves."""
    said = " ".join(step.say for step in steps)
    names = {option: program.options[option] for option in _options(said) if option in program.options}
    new = [f"{name} for {option}" for option, name in names.items() if name.split(" ")[0] not in said]
    if not new:
        return None
    return Step(
        f"In {program.name} that is {', '.join(new)}: {program.where}.",
        safety=Safety.SAFE,
        touches=f"the settings of {program.name}",
        undo="the former values",
        verify=steps[-1].verify,
    )


def _options(text: str) -> tuple[str, ...]:
    """The options of llama.cpp that a text names, each once, in one spelling."""
    return tuple(dict.fromkeys(_SAME.get(word, word) for word in _OPTION.findall(text)))
