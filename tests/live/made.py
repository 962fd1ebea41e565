"""A made machine at one moment: two cards, one of them lost, an engine at work, one that is foreign.

Every figure here is made up; nothing of it was measured. The views over it are real.
"""

from __future__ import annotations

from dataclasses import replace

from bringup.actions.diagnosis.doctor import Verdict
from bringup.actions.live.card_shares import planned_shares, share_memory
from bringup.actions.live.faults import Health, RootFault
from bringup.actions.live.history import History, Point
from bringup.actions.live.planned_speed import PlannedPart, PlannedSpeed, Span
from bringup.actions.live.sample import EngineMemory, LiveCard, LiveEngine, LiveProcess, Sample, Speed
from bringup.actions.log.timeline import Item
from bringup.engine.answers import Slot
from bringup.engine.totals import EngineTotals
from bringup.plan.predict import Estimate
from bringup.reading import Absent, Known, Unreadable
from bringup.stack.card_load import CardLoad
from bringup.stack.engine_buffers import Buffer, BufferUse
from bringup.stack.memory import Memory, MemoryFloors, Pressure
from bringup.stack.nvml import Card, GpuMemory, GpuProcess, Nvml
from bringup.stack.nvml_errors import find_nvml_error
from bringup.stack.version import find_driver_version
from bringup.units import GIB, MIB

NOW_S = 1795690000.0
HOSTILE = "evil[red]\x1b[31m<script>alert(1)</script>\u202e"
"""A model's name as a stranger would make it."""


PLANNED = PlannedSpeed(
    generation=Span(Estimate(52.0, 45.0, 60.0), Estimate(36.0, 31.0, 42.0)),
    prompt=Span(Estimate(900.0, 700.0, 1150.0), Estimate(640.0, 500.0, 820.0)),
    bottleneck="reading the weights on card 0",
    parts=(
        PlannedPart(0, "weights", 6 * GIB),
        PlannedPart(0, "kv_cache", 1024 * MIB),
        PlannedPart(0, "compute", 398 * MIB),
        PlannedPart(0, "overhead", 300 * MIB),
    ),
)


def engine(name: str = "gpt-oss-20b") -> LiveEngine:
    """An engine of ours that answers in one of its two slots."""
    slots = (
        Slot(0, 8192, True, 41, 2512, 1800, 400, 312),
        Slot(1, 8192, False, 40, 6600, 0, 0, 0),
    )
    buffers = (
        Buffer(BufferUse.WEIGHTS, "CUDA0", 6 * GIB),
        Buffer(BufferUse.KV_CACHE, "CUDA0", 1024 * MIB),
        Buffer(BufferUse.COMPUTE, "CUDA0", 398 * MIB),
        Buffer(BufferUse.WEIGHTS, "CPU_Mapped", 5 * GIB),
    )
    return LiveEngine(
        process_id=812,
        identity=None,
        program="bringup",
        name=name,
        model_path="/models/gpt-oss-20b.gguf",
        port=8080,
        is_ours=True,
        state="ready",
        build="b6325",
        window_tokens=8192,
        slots=Known(slots, "/slots"),
        totals=Known(EngineTotals(6100, 7.2, 1800, 4210, 98.0, 2), "/metrics"),
        speed=Speed(42.7, 0.0, 43.9, 812.0, 300.0, generates_throughout=True),
        planned=Known(PLANNED, "its plan"),
        memory=Known(EngineMemory(buffers, "8080.log", is_estimate=False), "8080.log"),
        resident_bytes=Known(6 * GIB, "/proc/812/status"),
        model_cached_bytes=Known(5 * GIB, "fincore"),
        has_cuda=Known(True, "/proc/812/maps"),
    )


def other_engine() -> LiveEngine:
    """Somebody else's, whose API wants a key that is not ours."""
    return LiveEngine(
        process_id=930,
        identity=None,
        program="ollama",
        name="",
        model_path="",
        port=None,
        is_ours=False,
        state="not asked",
        has_cuda=Known(False, "/proc/930/maps"),
    )


def cards(engines: tuple[LiveEngine, ...]) -> tuple[LiveCard, ...]:
    """One at work and one that fell off the bus."""
    processes = (
        GpuProcess(812, Known(7900 * MIB, "NVML"), False, "llama-server"),
        GpuProcess(640, Known(210 * MIB, "NVML"), True, "Xorg"),
    )
    busy = Card(
        0,
        trouble=Absent("NVML"),
        name=Known("NVIDIA GeForce RTX 3080 Ti", "NVML"),
        bus_address=Known("0000:01:00.0", "NVML"),
        memory=Known(GpuMemory(12 * GIB, 8350 * MIB, 12 * GIB - 8350 * MIB), "NVML"),
        temperature_c=Known(81, "NVML"),
        power_mw=Known(338_000, "NVML"),
        power_limit_mw=Known(350_000, "NVML"),
        clock_mhz=Known(1665, "NVML"),
        clock_most_mhz=Known(2100, "NVML"),
        clock_reasons=Known(("power limit",), "NVML"),
        link_generation=Known(4, "NVML"),
        link_width_lanes=Known(16, "NVML"),
        link_width_most_lanes=Known(16, "NVML"),
        processes=Known(processes, "NVML"),
    )
    load = CardLoad(
        0,
        busy_pct=Known(97, "NVML"),
        memory_busy_pct=Known(71, "NVML"),
        fan_pct=Known(74, "NVML"),
        traffic_out_bytes_per_s=Known(3 * MIB, "NVML"),
        traffic_in_bytes_per_s=Known(900 * MIB, "NVML"),
        link_generation_most=Known(4, "NVML"),
    )
    lost = Card(1, trouble=Known(find_nvml_error(15), "NVML"), name=Known("NVIDIA GeForce RTX 3060", "NVML"))
    return (
        LiveCard(busy, load, share_memory(busy, engines, [busy]), planned_shares(busy, engines)),
        LiveCard(lost, CardLoad(1), ()),
    )


def process(
    number: int, parent: int, name: str, command: str, *, resident: int, cpu: float, card: int | None = None
) -> LiveProcess:
    """A row of the table."""
    on = ((0, card),) if card is not None else ()
    words = tuple(command.split())
    return LiveProcess(
        number, 1000 + number, parent, "ann", name, words, "S", cpu, resident, on, number == 812
    )


def processes(name: str) -> tuple[LiveProcess, ...]:
    """An engine under its keeper, a desktop, a browser."""
    return (
        process(
            812, 811, "llama-server", f"llama-server -a {name}", resident=6 * GIB, cpu=0.97, card=7900 * MIB
        ),
        process(640, 1, "Xorg", "/usr/lib/xorg/Xorg :0", resident=180 * MIB, cpu=0.03, card=210 * MIB),
        process(811, 810, "python", "python -m bringup.engine.keeper", resident=14 * MIB, cpu=0.0),
        process(2200, 1, "firefox", "/usr/lib/firefox/firefox", resident=2 * GIB, cpu=0.21),
        process(930, 1, "ollama", "ollama serve", resident=60 * MIB, cpu=0.0),
    )


def sample(name: str = "gpt-oss-20b") -> Sample:
    """The moment."""
    engines = (engine(name), other_engine())
    floors = MemoryFloors(
        total_bytes=32 * GIB,
        free_bytes=3 * GIB,
        available_bytes=21 * GIB,
        kernel_bytes=1 * GIB,
        programs_bytes=9 * GIB,
        cache_bytes=18 * GIB,
        shared_bytes=512 * MIB,
        huge_bytes=0,
        locked_bytes=0,
        swap_total_bytes=8 * GIB,
        swap_free_bytes=7 * GIB,
        committed_bytes=0,
        commit_limit_bytes=0,
    )
    version = find_driver_version("570.169")
    assert version is not None
    driver = Nvml(error=Absent("nvmlInit"), driver_version=Known(version, "NVML"))
    return Sample(
        number=1,
        taken_s=NOW_S,
        subject="a made machine",
        driver=driver,
        cards=Known(cards(engines), "NVML"),
        memory=Memory(floors=Known(floors, "/proc/meminfo"), pressure=Known(Pressure(2.0, 0.0), "/proc")),
        cpu_share=Known(0.34, "/proc/stat"),
        cpus=Known(16, "/sys"),
        engines=engines,
        processes=processes(name),
    )


def without_cards(why: str) -> Sample:
    """The same machine, whose driver cannot be asked."""
    unseen = Unreadable("NVML", why)
    return replace(sample(), cards=unseen, driver=Nvml(unseen, unseen, unseen, unseen, unseen))


def history() -> History:
    """Two minutes that went up and down."""
    kept = History()
    for second in range(120):
        values = (
            ("card0.busy_pct", float(40 + 55 * (second % 20 > 5))),
            ("engine8080.generated", 43.0 * (second % 30 > 8)),
            ("cpu.busy_share", 0.3),
        )
        kept.add(Point(NOW_S - 120 + second, values))
    return kept


HEALTH = Health(
    Verdict.FAULTS,
    (RootFault("gpu-fell-off-bus", "A card does not answer on the PCIe bus any more", is_sure=True),),
)

EVENTS = (
    Item(NOW_S - 7200, 41, "run", "gpt-oss-20b answered at 43.9 tokens/s"),
    Item(NOW_S - 60, 42, "judged", "A card does not answer on the PCIe bus any more\x1b[31m"),
)
