"""The stack on one screen: one line a layer, bottom up, then the next step."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Final

from bringup.actions.diagnosis.doctor import Examination, Verdict
from bringup.actions.diagnosis.overview import LayerView, State
from bringup.actions.diagnosis.steps import typed_command, values_of
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.diagnosis import steps_of
from bringup.faces.render.format import format_bytes, pad, truncate
from bringup.faults._fault import Certainty, Layer, Step
from bringup.reading import Absent, Known
from bringup.stack.container import Inside
from bringup.stack.engines import EngineProcess
from bringup.stack.stack import Stack

Line = tuple[str | Styled, ...]

LAYER_NAMES: Final = {
    Layer.HARDWARE: "hardware",
    Layer.KERNEL: "kernel, driver",
    Layer.CONTAINER: "container",
    Layer.USERSPACE: "driver libraries",
    Layer.TOOLKIT: "CUDA toolkit",
    Layer.BUILD: "llama.cpp",
    Layer.MODEL: "model",
    Layer.MEMORY: "memory",
    Layer.CONTEXT: "context",
    Layer.RUNTIME: "running engines",
}
_MARKS: Final = {
    State.FINE: ("ok", Style.GREEN),
    State.FAULT: ("fault", Style.RED),
    State.FOLLOWS: ("follows", Style.YELLOW),
    State.UNSEEN: ("unseen", Style.YELLOW),
}
_NOT_SERVED: Final[Mapping[int, str]] = {}
_NAME_COLUMNS: Final = 17
_MARK_COLUMNS: Final = 9
_NARROW_COLUMNS: Final = 60


def render_stack(
    examination: Examination,
    views: tuple[LayerView, ...],
    *,
    width_columns: int,
    embedded: str | None = None,
    served: Mapping[int, str] | None = None,
) -> list[Line]:
    """One line a layer, then what to do next.

    `embedded` is the version of an engine that needs no build, `served` names our engines by their process.
    """
    lines: list[Line] = []
    for view in views:
        lines += _lines(view, _text(view, examination.stack, embedded, served or {}), width_columns)
    has_engine = embedded is not None or _has_build(examination.stack)
    return [*lines, ("",), *_next(examination, width_columns, has_engine=has_engine)]


def _text(view: LayerView, stack: Stack, embedded: str | None, served: Mapping[int, str]) -> str:
    if view.state is State.FAULT or view.state is State.FOLLOWS:
        return view.findings[0].fault.title
    if view.layer is Layer.RUNTIME and not view.problem:
        return _runtime(stack, served)
    text = view.problem or summarise(view.layer, stack)
    if view.layer is Layer.BUILD and embedded is not None and not _has_build(stack):
        return f"{text}; embedded engine{f' {embedded}' if embedded else ''} is here"
    return text


def _lines(view: LayerView, text: str, width_columns: int) -> list[Line]:
    """The layer's line; on a narrow terminal its words go below it, whole."""
    mark, style = _MARKS[view.state]
    room = width_columns - _NAME_COLUMNS - _MARK_COLUMNS
    head = (pad(LAYER_NAMES[view.layer], _NAME_COLUMNS), Styled(pad(mark, _MARK_COLUMNS), style))
    words = clean(text, keep_newlines=False)
    if width_columns >= _NARROW_COLUMNS:
        return [(*head, truncate(words, room))]
    return [head, *((f"  {line}",) for line in textwrap.wrap(words, max(10, width_columns - 2)))]


def _next(examination: Examination, width_columns: int, *, has_engine: bool) -> list[Line]:
    if not examination.diagnosis.findings:
        if examination.verdict is Verdict.HEALTHY and not has_engine:
            return [("Next: ", Styled("bringup setup", Style.CYAN), " gets an engine, which runs models.")]
        if examination.verdict is Verdict.HEALTHY:
            return [("Next: ", Styled("bringup run", Style.CYAN), " starts a chat with a model.")]
        return [("Next: ", Styled("bringup doctor", Style.CYAN), " says what could not be seen, and why.")]
    root = examination.diagnosis.roots[0]
    word = "" if root.evidence.certainty is Certainty.SURE else "Likely: "
    title = truncate(clean(f"{word}{root.fault.title}", keep_newlines=False), width_columns)
    lines: list[Line] = [(Styled(title, Style.BOLD),)]
    steps = steps_of(root)
    if steps:
        past = examination.histories.get(root.fault.id)
        tried = 0 if past is None or past.next_step is None else past.next_step - 1
        lines += _first_step(steps[min(tried, len(steps) - 1)], dict(root.evidence.values), width_columns)
    more = len(examination.diagnosis.roots) - 1
    others = f", and of {more} more fault{'s' if more > 1 else ''}" if more else ""
    lines.append(("Next: ", Styled("bringup doctor", Style.CYAN), f" has reason and cure of it{others}."))
    return lines


def _first_step(step: Step, values: dict, width_columns: int) -> list[Line]:  # type: ignore[type-arg]
    lines: list[Line] = [(truncate(clean(f"  {step.say}", keep_newlines=False), width_columns),)]
    if step.command:
        shown = typed_command(step, values_of(step, values), is_root=False)
        lines.append(("    ", Styled(f"$ {shown}", Style.CYAN)))
    return lines


def summarise(layer: Layer, stack: Stack) -> str:
    """What is there, in a few words; the words say so where nothing is known."""
    say = _SUMMARIES.get(layer)
    return say(stack) if say is not None else ""


def _hardware(stack: Stack) -> str:
    devices = stack.hardware.pci_devices
    if not isinstance(devices, Known):
        return "no PCI bus" if isinstance(devices, Absent) else "the PCI bus could not be seen"
    cards = [device.name or "an NVIDIA device" for device in stack.hardware.nvidia_devices]
    others = [device.name or "a display device of another maker" for device in devices.value]
    return ", ".join(cards) or f"no NVIDIA card{f' ({others[0]})' if others else ''}"


def _kernel(stack: Stack) -> str:
    release, driver = stack.kernel.release, stack.kernel.loaded_driver
    words = [f"Linux {release.value}"] if isinstance(release, Known) else []
    if isinstance(driver, Known):
        flavour = "open" if driver.value.is_open else "proprietary"
        words.append(f"NVIDIA module {driver.value.version} ({flavour})")
    elif isinstance(driver, Absent):
        words.append("no NVIDIA module loaded")
    return ", ".join(words)


def _userspace(stack: Stack) -> str:
    cards = stack.nvml.cards
    if isinstance(cards, Known) and cards.value:
        version = stack.nvml.driver_version
        names = [card.name.value if isinstance(card.name, Known) else "a card" for card in cards.value]
        shown = f"{version.value}: " if isinstance(version, Known) else ""
        return shown + ", ".join(names)
    found = stack.userspace.driver_library_versions
    if isinstance(found, Known) and found.value:
        return f"libraries of driver {', '.join(sorted({str(one.version) for one in found.value}))}"
    return "none installed" if isinstance(found, (Known, Absent)) else ""


def _has_build(stack: Stack) -> bool:
    return isinstance(stack.build.engines, Known) and bool(stack.build.engines.value)


def _build(stack: Stack) -> str:
    engines = stack.build.engines
    if not isinstance(engines, Known) or not engines.value:
        return "no build found"
    first = engines.value[0]
    number = f"b{first.number.value}, " if isinstance(first.number, Known) else ""
    backends = ", ".join(first.backends.value) if isinstance(first.backends, Known) else "backends unknown"
    more = f" (and {len(engines.value) - 1} more)" if len(engines.value) > 1 else ""
    return f"{number}{backends}: {first.program}{more}"


def _memory(stack: Stack) -> str:
    floors = stack.memory.floors
    if not isinstance(floors, Known):
        return f"{floors.source} is not there" if isinstance(floors, Absent) else ""
    return (
        f"{format_bytes(floors.value.available_bytes)} available of {format_bytes(floors.value.total_bytes)}"
    )


def _runtime(stack: Stack, served: Mapping[int, str] = _NOT_SERVED) -> str:
    engines = stack.runtime.engines
    if not isinstance(engines, Known) or not engines.value:
        return "none"
    more = f", and {len(engines.value) - 1} more" if len(engines.value) > 1 else ""
    first = engines.value[0]
    return served.get(first.process_id, _engine(first)) + more


def _engine(engine: EngineProcess) -> str:
    """`llama-server with gemma.gguf on port 8080`; an embedded engine's command says neither."""
    program = "bringup's own" if engine.program == "bringup" else engine.program
    model = f" with {engine.model_path.rsplit('/', 1)[-1]}" if engine.model_path else ""
    place = f" on port {engine.port}" if engine.port else f" (process {engine.process_id})"
    return program + model + place


def _toolkit(stack: Stack) -> str:
    first, toolkits = stack.toolkit.nvcc, stack.toolkit.toolkits
    if isinstance(first, Known):
        version = first.value.version
        number = f"CUDA {'.'.join(map(str, version.value))}, " if isinstance(version, Known) else ""
        return f"{number}nvcc is {first.value.path}"
    if not isinstance(toolkits, Known) or not toolkits.value:
        return "none" if isinstance(toolkits, (Known, Absent)) else ""
    return f"{', '.join(one.folder for one in toolkits.value[:2])}; no nvcc on PATH"


def _container(stack: Stack) -> str:
    inside, wsl = stack.container.inside, stack.container.wsl
    if stack.container.is_wsl and isinstance(wsl, Known):
        return wsl.value.value
    if not isinstance(inside, Known):
        return ""
    if inside.value is Inside.NONE:
        return "not in one"
    asked = stack.container.asked_for
    gpus = f", GPUs asked for: {asked.value}" if isinstance(asked, Known) else ""
    return f"inside {inside.value.value}{gpus}"


_SUMMARIES: Final[dict[Layer, Callable[[Stack], str]]] = {
    Layer.HARDWARE: _hardware,
    Layer.KERNEL: _kernel,
    Layer.CONTAINER: _container,
    Layer.USERSPACE: _userspace,
    Layer.TOOLKIT: _toolkit,
    Layer.BUILD: _build,
    Layer.MEMORY: _memory,
    Layer.RUNTIME: _runtime,
}
