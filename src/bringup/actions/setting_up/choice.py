"""Which engine a machine should have and why. Pure: facts in, a choice out."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.actions.diagnosis.known_bad import bad_build
from bringup.engine.source_build import Backend
from bringup.engine.wheels import cuda_of_index, fitting_cuda, wheel_unfit
from bringup.errors import CannotTell, EngineError
from bringup.faults._diagnose import Diagnosis
from bringup.faults._fault import Fault, Layer
from bringup.reading import Absent, Known, Unreadable
from bringup.records import dataclass
from bringup.stack.build import EngineFiles
from bringup.stack.build_tools import BuildTools
from bringup.stack.nvml import Card
from bringup.stack.stack import Stack

OLDEST_BUILD: Final = 6096
"""The first llama.cpp that loads gpt-oss; older ones are left alone.

Support came with pull request 15091 on 2025-08-05 (https://github.com/ggml-org/llama.cpp/pull/15091). The
quantisations of that day name b6096 as what made them (model card of bartowski/openai_gpt-oss-20b-GGUF), and
https://github.com/utilityai/llama-cpp-rs/pull/797 took b6097 for it. No older build was tried."""

_ON_CPU: Final = "running-on-cpu"
_BELOW: Final = frozenset({Layer.HARDWARE, Layer.KERNEL, Layer.USERSPACE, Layer.CONTAINER})
_REAL: Final = re.compile(r"(\d{2,3})[af]?(?:-real|-virtual)?$")


class Method(Enum):
    """How an engine comes here."""

    EXISTING = "existing"
    WHEEL = "wheel"
    RELEASE = "release"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Passed:
    """What was looked at and not taken: its name and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class SetupChoice:
    """What this machine should have.

    Attributes:
        method: see `Method`.
        backend: what it computes on.
        why: in one sentence each.
        cuda_archs: compute capabilities times ten to build for; with CUDA only.
        engine: the existing build, with `EXISTING` and an external one.
        passed: what was not taken, and why.
    """

    method: Method
    backend: Backend
    why: tuple[str, ...]
    cuda_archs: tuple[str, ...] = ()
    engine: EngineFiles | None = None
    passed: tuple[Passed, ...] = ()


@dataclass(frozen=True, slots=True)
class SetupWishes:
    """What the user said; `None` and empty are what nothing was said about.

    `cuda_archs` are compute capabilities times ten, for a card that is not in this machine. `index` is the
    address of a package index with wheels for the card.
    """

    backend: Backend | None = None
    method: Method | None = None
    cuda_archs: tuple[str, ...] = ()
    index: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice is made from."""

    stack: Stack
    diagnosis: Diagnosis
    tools: BuildTools
    has_embedded: bool


def choose(facts: Facts, wishes: SetupWishes) -> SetupChoice:
    """The engine that this machine should have.

    Raises:
        EngineError: there is a card that cannot be used now, and nobody said to do without it.
    """
    backend, why, passed = _backend(facts, wishes)
    archs = (wishes.cuda_archs or _archs(facts.stack)) if backend is Backend.CUDA else ()
    if backend is Backend.CUDA and not archs:
        raise EngineError(
            "the card does not say its compute capability, so nothing can be built for it",
            hint="bringup doctor looks why; --cuda-arch 8.6 names one.",
            reference="cannot-tell",
        )
    if wishes.method in (None, Method.EXISTING):
        for engine in _engines(facts.stack):
            problem = unfit(engine, backend, archs)
            if problem is None:
                reason = f"{engine.program} is here and looks right for it; it is proved, not assumed"
                said = (*why, reason, *_known_bad(engine))
                return SetupChoice(Method.EXISTING, backend, said, archs, engine, tuple(passed))
            passed.append(Passed(engine.program, problem))
        if backend is Backend.CPU and facts.has_embedded:
            reason = "the embedded engine (Python package) computes on the CPU and is here"
            return SetupChoice(Method.EXISTING, backend, (*why, reason), (), None, tuple(passed))
    if wishes.method is Method.EXISTING:
        raise EngineError(
            f"no engine of this machine serves {backend.value}",
            context=tuple(f"{one.what}: {one.why}" for one in passed),
            hint="bringup setup --method source builds one.",
            reference="engine-not-found",
        )
    if wishes.method is Method.RELEASE:
        reason = "a release archive was asked for; its files are looked at before anything of it runs"
        return SetupChoice(Method.RELEASE, backend, (*why, reason), archs, None, tuple(passed))
    wheel = _wheel(facts.stack, wishes, backend, archs)
    if isinstance(wheel, str):
        return SetupChoice(Method.WHEEL, backend, (*why, wheel), archs, None, tuple(passed))
    passed += [] if wheel is None else [wheel]
    reason = "built here it fits this very processor" + (
        f" and compute capability {shown(archs)}" if archs else ""
    )
    return SetupChoice(Method.SOURCE, backend, (*why, reason), archs, None, tuple(passed))


def _known_bad(engine: EngineFiles) -> tuple[str, ...]:
    """What is known to be wrong with a build that is taken all the same."""
    found = bad_build("it", engine.number.value) if isinstance(engine.number, Known) else None
    return () if found is None else (f"but {found.sentence()}",)


def _wheel(
    stack: Stack, wishes: SetupWishes, backend: Backend, archs: tuple[str, ...]
) -> str | Passed | None:
    """Why a wheel is to be taken, or why not; `None` where nobody thinks of one.

    Raises:
        EngineError: one was asked for and cannot serve.
    """
    if wishes.method is Method.WHEEL and wishes.index is None:
        return "a wheel was asked for, from where pip is set to; what it can is seen when it is here"
    if wishes.method is not Method.WHEEL and (wishes.method is not None or backend is not Backend.CUDA):
        return None
    driver = stack.nvml.cuda_version
    newest = driver.value if isinstance(driver, Known) else None
    if wishes.index is None:
        fitting = " or ".join(fitting_cuda(archs, newest)) or "none that is known"
        return Passed(
            "wheel", f"no index of wheels with CUDA is named (--index); those that serve: CUDA {fitting}"
        )
    version = cuda_of_index(wishes.index)
    problem = wheel_unfit(version, archs, newest) if version and backend is Backend.CUDA else None
    if problem is None:
        return "the index that you named has ready-made wheels; what it is gets seen when it is here"
    if wishes.method is Method.WHEEL:
        raise EngineError(
            f"no wheel of this index serves: {problem}",
            hint="Name the index for another CUDA, or let it be built: bringup setup --method source.",
            reference="driver-too-old-for-cuda" if "driver" in problem else "gpu-arch-not-built",
        )
    return Passed("wheel", problem)


def _backend(facts: Facts, wishes: SetupWishes) -> tuple[Backend, tuple[str, ...], list[Passed]]:
    nvml = facts.stack.nvml
    cards = nvml.cards.value if isinstance(nvml.cards, Known) else ()
    if wishes.backend is not None:
        return wishes.backend, (f"{wishes.backend.value} was asked for",), []
    cause = _what_keeps_cuda_away(facts)
    if isinstance(nvml.error, Absent) and cards and cause is None:
        names = ", ".join(_name(card) for card in cards)
        return Backend.CUDA, (f"the driver shows {names}",), []
    nvidia = facts.stack.hardware.nvidia_devices
    if cause is not None:
        raise _unusable(cause, [one.name or one.address for one in nvidia])
    if nvidia or cards:
        raise CannotTell(
            "there is a card, and it could not be asked what it is",
            context=(nvml.error.why,) if isinstance(nvml.error, Unreadable) else (),
            hint="bringup doctor looks why; --backend says what you want in any case.",
        )
    others = _other_cards(facts.stack)
    if others and isinstance(facts.tools.vulkan_drivers, Known):
        return Backend.VULKAN, (f"{others[0]} is here and Vulkan has a driver for it",), []
    passed = [Passed("cuda", "no card of NVIDIA is seen")]
    if others:
        passed.append(Passed("vulkan", f"{others[0]} is here and no Vulkan driver is installed"))
    return Backend.CPU, ("no graphics card is seen that llama.cpp could use",), passed


def _what_keeps_cuda_away(facts: Facts) -> Fault | None:
    """The fault below the engine for which programs run on the CPU; `None` where CUDA was seen to start."""
    start = facts.stack.cuda.start
    if isinstance(start, Known) and start.value.code == 0:
        return None
    explains = {finding.fault.id: finding.fault.explains for finding in facts.diagnosis.findings}
    for finding in facts.diagnosis.roots:
        if finding.fault.layer in _BELOW and _leads_to_cpu(finding.fault.explains, explains):
            return finding.fault
    return None


def _leads_to_cpu(ids: tuple[str, ...], explains: dict[str, tuple[str, ...]]) -> bool:
    return _ON_CPU in ids or any(_ON_CPU in explains.get(one, ()) for one in ids)


def _unusable(cause: Fault, names: list[str]) -> EngineError:
    card = f"the card ({', '.join(names)})" if names else "CUDA"
    return EngineError(
        f"{card} cannot be used now",
        context=(f"the doctor finds: {cause.id} ({cause.title})",),
        hint="Mend that first (bringup doctor), or say that you want to do without it: --backend cpu.",
        reference=cause.id,
    )


def _other_cards(stack: Stack) -> list[str]:
    devices = stack.hardware.pci_devices
    if not isinstance(devices, Known):
        return []
    makers = {0x1002: "AMD", 0x8086: "Intel"}
    return [
        f"{makers[one.vendor_id]}'s {one.name or one.address}"
        for one in devices.value
        if one.vendor_id in makers
    ]


def _name(card: Card) -> str:
    return card.name.value if isinstance(card.name, Known) else f"card {card.index}"


def _archs(stack: Stack) -> tuple[str, ...]:
    """Of all cards, ascending, each once."""
    cards = stack.nvml.cards.value if isinstance(stack.nvml.cards, Known) else ()
    found = {card.compute_capability.value for card in cards if isinstance(card.compute_capability, Known)}
    return tuple(str(major * 10 + minor) for major, minor in sorted(found))


def _engines(stack: Stack) -> tuple[EngineFiles, ...]:
    engines = stack.build.engines
    return engines.value if isinstance(engines, Known) else ()


def unfit(engine: EngineFiles, backend: Backend, archs: tuple[str, ...]) -> str | None:
    """Why a build is not the one for this machine; `None` where nothing speaks against it.

    A build for an older member of a card's generation runs on the newer one (8.0 code on 8.6).
    """
    if not isinstance(engine.backends, Known):
        return "its backends cannot be seen"
    if backend.value not in engine.backends.value:
        return f"it has no {backend.value} (only {', '.join(engine.backends.value)})"
    if isinstance(engine.number, Known) and engine.number.value < OLDEST_BUILD:
        return f"build {engine.number.value} is too old for gpt-oss (b{OLDEST_BUILD} or newer)"
    if engine.strayed:
        name, folder = engine.strayed[0]
        return f"it takes {name} from {folder} instead of its own"
    if backend is Backend.CUDA and isinstance(engine.cuda_archs, Known):
        built = {int(match[1]) for part in engine.cuda_archs.value.split(";") if (match := _REAL.match(part))}
        missing = [arch for arch in archs if built and not any(_serves(one, int(arch)) for one in built)]
        if missing:
            return f"it was built for {engine.cuda_archs.value}, not for {shown(tuple(missing))}"
    return None


def _serves(built: int, card: int) -> bool:
    return built // 10 == card // 10 and built <= card


def shown(archs: tuple[str, ...]) -> str:
    """`8.6 and 12.0`."""
    return " and ".join(f"{arch[:-1]}.{arch[-1]}" for arch in archs)
