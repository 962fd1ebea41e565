"""What the keys of `top` do, and what is told of a thing that was chosen."""

from __future__ import annotations

from typing import Final

from bringup.actions.live.faults import Health
from bringup.actions.live.sample import LiveCard, LiveEngine, LiveProcess, Sample, Use
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.diagnosis import wrapped
from bringup.faces.render.format import format_bytes, format_percent
from bringup.faces.render.live_cards import LOOKS
from bringup.reading import Known

Line = tuple[str | Styled, ...]

_TEXT_COLUMNS: Final = 90

KEYS: Final = (
    ("arrows, p n, PgUp PgDn, Home End", "choose a process"),
    ("Tab, Shift-Tab", "go to the next part: machine, cards, engines, processes"),
    ("e, Enter", "explain what is chosen"),
    ("s, F6", "sort by the next column;  r  the other way round"),
    ("V, M, P", "sort by the cards' memory, main memory, processor"),
    ("f, /, F4", "show only rows with these words; Esc shows all again"),
    ("t, F5", "tree: parents above their children"),
    ("k, F9", "end the chosen process, after a question"),
    ("space, z", "pause, and go on"),
    ("+, -", "look more seldom, more often"),
    ("?, h, F1", "this help"),
    ("q, F10, Ctrl-C", "leave"),
)

_USES: Final = {
    Use.WEIGHTS: "the model's parameters; fixed while it is loaded",
    Use.KV_FILLED: "keys and values of the tokens that are in the context window now",
    Use.KV_RESERVED: "taken for the rest of the window when the engine started; it fills as you talk",
    Use.COMPUTE: "room for the results of one step; grows with the micro-batch and the window",
    Use.OVERHEAD: "what CUDA and the engine hold beyond their buffers: context, kernels, scratch",
    Use.ENGINE: "an engine whose parts nobody tells",
    Use.OTHER: "another program, by its name",
    Use.UNSEEN: "held by the driver, or by programs that this user or container cannot see",
    Use.FREE: "held by nobody",
}


def help_lines() -> list[Line]:
    """Keys, then the characters of the memory bar."""
    lines: list[Line] = [(Styled(f"{keys:34}", Style.BOLD), words) for keys, words in KEYS]
    lines += [("",), (Styled("A card's memory, left to right", Style.BOLD),)]
    for use, words in _USES.items():
        character, style = LOOKS[use]
        lines.append((Styled(character * 2, style), f"  {use.value}: {words}"))
    lines += [("",), ("A figure with ~ is by arithmetic from the model's header, because the engine's log",)]
    lines.append(("does not tell it. A ? is what nobody could tell.",))
    return lines


def card_facts(live: LiveCard) -> list[Line]:
    """One card in sentences."""
    card = live.card
    lines: list[Line] = []
    if isinstance(card.trouble, Known):
        lines.append((Styled(card.trouble.value.words, Style.RED), ": bringup doctor has the reason."))
    for share in live.shares:
        character, style = LOOKS[share.use]
        head = f"  {share.use.value}{f' of {share.holder}' if share.holder else ''}"
        size = f"{'~' if share.is_estimate else ''}{format_bytes(share.size_bytes)}"
        lines.append(
            (Styled(character * 2, style), f"{head}: {size}", Styled(f"  {_USES[share.use]}", Style.DIM))
        )
    if isinstance(card.clock_reasons, Known):
        reasons = ", ".join(card.clock_reasons.value) or "nothing"
        lines += [("",), (f"Its clocks are held by: {reasons}.",)]
    if isinstance(card.memory, Known):
        lines.append(("Source of the figures: NVML, as in nvidia-smi -q",))
    return lines


def engine_facts(engine: LiveEngine) -> list[Line]:
    """One engine in sentences."""
    lines: list[Line] = [(f"model   {engine.model_path or 'not told'}",), (f"process {engine.process_id}",)]
    if engine.trouble:
        lines.append((Styled(engine.trouble, Style.YELLOW),))
    if isinstance(engine.memory, Known):
        memory = engine.memory.value
        lines += [("",), (Styled("Its buffers", Style.BOLD), f", as {memory.source} says:")]
        for buffer in memory.buffers:
            mark = "~" if memory.is_estimate else ""
            lines.append(
                (f"  {buffer.device:12} {buffer.use.value:8} {mark}{format_bytes(buffer.size_bytes)}",)
            )
    filled = engine.filled_share
    if filled is not None:
        lines += [
            ("",),
            (f"{format_percent(filled)} of its KV cache holds tokens. A slot that is at rest keeps",),
        ]
        lines.append(("the tokens of its last request: one that begins alike need not be read again.",))
    lines.append(("Sources: the engine's /props, /slots and /metrics, its log, /proc",))
    return lines


def term_lines(name: str) -> list[Line]:
    """What a term means, as `bringup explain` says it."""
    from bringup.actions.explaining.terms_reader import find_term

    term = find_term(name)
    lines: list[Line] = [("",), (Styled(term.title, Style.BOLD),)]
    for paragraph in term.text.split("\n\n"):
        lines += [(line,) for line in wrapped(paragraph, _TEXT_COLUMNS)]
    return [*lines, (Styled(f"bringup explain {name} has it with this machine's figures.", Style.DIM),)]


def process_facts(process: LiveProcess) -> list[Line]:
    """One process in full."""
    lines: list[Line] = [
        (Styled(f"{process.name}", Style.BOLD), f"  process {process.process_id} of {process.user}"),
        (f"parent     {process.parent_id}",),
        (f"state      {process.state}",),
        (f"RAM        {format_bytes(process.resident_bytes)}, mapped files included",),
        (f"processor  {format_percent(process.cpu_share)} of one",),
    ]
    for number, size in process.cards:
        told = format_bytes(size) if size is not None else "the driver does not tell how much"
        lines.append((f"card {number}     {told}",))
    return [*lines, ("",), (" ".join(process.command) or "Its command line cannot be seen.",)]


def machine_facts(sample: Sample, health: Health | None) -> list[Line]:
    """The floors of main memory, and the doctor's verdict."""
    lines: list[Line] = []
    if isinstance(sample.memory.floors, Known):
        floors = sample.memory.floors.value
        rows = (
            ("kernel", floors.kernel_bytes, "slabs, stacks, page tables: cannot be swapped out"),
            ("programs", floors.programs_bytes, "private memory: KV caches, weights that are not mapped"),
            ("shared", floors.shared_bytes, "shared memory and tmpfs"),
            ("page cache", floors.cache_bytes, "files, mapped models too: dropped when room is needed"),
            ("other", floors.other_bytes, "what none of the floors counts: drivers, mostly"),
            ("free", floors.free_bytes, "used for nothing"),
        )
        lines += [
            (f"{name:11}{format_bytes(size):>10}", Styled(f"  {words}", Style.DIM))
            for name, size, words in rows
        ]
        lines.append(("Source: /proc/meminfo",))
    lines.append(("",))
    if health is None:
        lines.append(("The doctor is still looking.",))
    for root in health.roots if health is not None else ():
        lines.append((Styled(root.title, Style.RED), f"  bringup fix {root.id} cures it."))
    if health is not None and not health.roots:
        lines.append((f"The doctor says: {health.verdict.name.lower().replace('_', ' ')}.",))
    return lines
