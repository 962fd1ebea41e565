"""Which engine a recorded machine should have, what is refused, and that no card is lost unsaid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.setup.conftest import Changed

from bringup.actions.diagnosis.doctor import examine
from bringup.actions.setting_up.choice import (
    OLDEST_BUILD,
    Facts,
    Method,
    SetupChoice,
    SetupWishes,
    choose,
    unfit,
)
from bringup.actions.setting_up.needs import Room, accepted_compiler, buildable, find_missing
from bringup.engine.source_build import Backend
from bringup.errors import BringupError, CannotTell, EngineError
from bringup.machine.protocol import Machine
from bringup.machine.recorded import RecordedMachine
from bringup.reading import NOT_LOOKED, Absent, Known
from bringup.stack.build import Build, EngineFiles
from bringup.stack.build_tools import BuildTools, probe_build_tools
from bringup.stack.pci import PciDevice
from bringup.stack.stack import Stack
from bringup.units import GIB, MIB

CASES = Path(__file__).parents[1] / "cases"
MACHINES = sorted(f"{case.parent.name}/{case.name}" for case in CASES.glob("*/*") if (case / "root").is_dir())
ROOM = Room(Known(100 * GIB, "/state"), Known(32 * GIB, "/proc/meminfo"))


def facts_of(machine: Machine, **changes: object) -> Facts:
    seen = examine(machine, subject="a machine")
    facts = Facts(seen.stack, seen.diagnosis, probe_build_tools(machine), has_embedded=True)
    return replace(facts, **changes)  # type: ignore[arg-type]


def case(name: str) -> Facts:
    return facts_of(RecordedMachine(str(CASES / name)))


def missing_of(facts: Facts, choice: SetupChoice, room: Room = ROOM) -> list[str]:
    found = find_missing(facts.stack, facts.tools, room, backend=choice.backend, archs=choice.cuda_archs)
    return [one.fault for one in found]


def engine(backends: tuple[str, ...], **more: object) -> EngineFiles:
    given = EngineFiles(
        "/usr/bin/llama-server", "PATH", Absent("x"), Known(backends, "x"), (), Absent("x"), Absent("x"), ()
    )
    return replace(given, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MACHINES)
def test_no_machine_with_a_card_gets_a_cpu_engine_unsaid(name: str) -> None:
    """The bar: with a card of NVIDIA it is CUDA, or a refusal that names the cause; never quietly the CPU."""
    facts = case(name)
    has_card = bool(facts.stack.hardware.nvidia_devices)
    try:
        choice = choose(facts, SetupWishes())
    except BringupError as problem:
        assert problem.hint and problem.message
        return
    if has_card:
        assert choice.backend is Backend.CUDA and choice.cuda_archs
        assert choice.method in (Method.EXISTING, Method.SOURCE)
        if choice.engine is not None:
            assert "cuda" in choice.engine.backends.value  # type: ignore[union-attr]
    else:
        assert choice.why and (choice.backend is not Backend.CPU or choice.passed)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("driver-library-mismatch/morning", "driver-library-mismatch"),
        ("nouveau-in-use/before-the-reboot", "nouveau-in-use"),
        ("container-no-gpu-flag/machine-inside", "container-no-gpu-flag"),
        ("wsl-driver-missing/machine-linux-driver", "wsl-driver-missing"),
        ("gpu-fell-off-bus/under-load", "gpu-fell-off-bus"),
    ],
)
def test_a_card_that_cannot_be_used_is_mended_first(name: str, cause: str) -> None:
    with pytest.raises(EngineError) as caught:
        choose(case(name), SetupWishes())
    assert caught.value.reference == cause
    assert choose(case(name), SetupWishes(Backend.CPU)).backend is Backend.CPU


def test_a_card_that_could_not_be_asked() -> None:
    with pytest.raises(CannotTell):
        choose(case("cpu-only-build/machine-with-driver"), SetupWishes())


def test_wsl_and_a_container_with_a_card() -> None:
    for name in ("wsl-driver-missing/machine-healthy", "container-no-gpu-flag/machine-with-gpu"):
        choice = choose(case(name), SetupWishes())
        assert (choice.backend, choice.method, choice.cuda_archs) == (Backend.CUDA, Method.SOURCE, ("86",))


def test_a_good_engine_that_is_here() -> None:
    choice = choose(case("libraries-mixed/machine-old-file-left"), SetupWishes())
    assert choice.method is Method.EXISTING
    assert choice.engine is not None and choice.engine.program == "/usr/local/bin/llama-server"


def test_what_is_known_of_an_engine_that_is_taken_is_said() -> None:
    facts = case("wsl-driver-missing/machine-healthy")
    for number, said in ((OLDEST_BUILD, 1), (7900, 1), (8146, 0)):
        one = engine(("cpu", "cuda"), number=Known(number, "x"))
        taken = replace(facts, stack=replace(facts.stack, build=Build(Known((one,), "PATH"))))
        why = choose(taken, SetupWishes()).why
        assert sum("known to be bad" in reason for reason in why) == said, why


def test_two_engines_on_path() -> None:
    """The first has no CUDA: it is passed over with that reason, and the second is taken."""
    facts = case("wsl-driver-missing/machine-healthy")
    two = (engine(("cpu",)), engine(("cpu", "cuda"), program="/opt/llama/llama-server"))
    facts = replace(facts, stack=replace(facts.stack, build=Build(Known(two, "PATH"))))
    choice = choose(facts, SetupWishes())
    assert choice.engine is two[1]
    assert [(one.what, one.why) for one in choice.passed] == [
        ("/usr/bin/llama-server", "it has no cuda (only cpu)")
    ]


def test_only_vulkan() -> None:
    facts = case("gpu-not-on-bus/never-had-one")
    radeon = PciDevice("0000:03:00.0", 0x1002, 0x744C, "Navi 31")
    hardware = replace(facts.stack.hardware, pci_devices=Known((radeon,), "/sys/bus/pci/devices"))
    tools = replace(facts.tools, vulkan_drivers=Known(("radeon_icd.x86_64.json",), "/usr/share/vulkan/icd.d"))
    with_card = replace(facts, stack=replace(facts.stack, hardware=hardware))
    assert (
        choose(with_card, SetupWishes()).passed[1].why
        == "AMD's Navi 31 is here and no Vulkan driver is installed"
    )
    choice = choose(replace(with_card, tools=tools), SetupWishes())
    assert (choice.backend, choice.method) == (Backend.VULKAN, Method.SOURCE)
    bare = replace(tools, glslc=Absent("glslc on PATH"), vulkan_header=Absent("vulkan.h"))
    found = find_missing(with_card.stack, bare, ROOM, backend=Backend.VULKAN, archs=())
    assert {one.fault for one in found if "glslc" in one.what or "header" in one.what} == {
        "build-tool-missing"
    }


def test_the_driver_is_too_old_for_the_toolkit() -> None:
    facts = case("driver-too-old-for-cuda/machine-toolkit-13")
    choice = choose(facts, SetupWishes())
    assert "driver-too-old-for-cuda" in missing_of(facts, choice)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nvcc-not-found/machine-off-path", "nvcc-not-found"),
        ("nvcc-too-old-for-gpu/machine-debian", "nvcc-too-old-for-gpu"),
        ("host-compiler-unsupported/machine-gcc-15", "host-compiler-unsupported"),
        ("wsl-driver-missing/machine-healthy", "nvcc-not-found"),
    ],
)
def test_what_a_recorded_machine_lacks(name: str, fault: str) -> None:
    facts = case(name)
    assert fault in missing_of(facts, choose(facts, SetupWishes(method=Method.SOURCE)))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (engine(("cpu", "cuda")), None),
        (engine(("cpu", "cuda"), number=Known(OLDEST_BUILD, "x")), None),
        (engine(("cpu", "cuda"), cuda_archs=Known("80;86-real", "x")), None),
        (engine(("cpu", "cuda"), cuda_archs=Known("80-virtual", "x")), None),
        (engine(("cpu", "cuda"), cuda_archs=Known("native", "x")), None),
        (engine(("cpu",)), "it has no cuda"),
        (replace(engine(()), backends=NOT_LOOKED), "cannot be seen"),
        (engine(("cpu", "cuda"), number=Known(OLDEST_BUILD - 1, "x")), "too old for gpt-oss"),
        (engine(("cpu", "cuda"), cuda_archs=Known("75;89;120a", "x")), "not for 8.6"),
        (engine(("cpu", "cuda"), strayed=(("libllama.so", "/usr/lib"),)), "takes libllama.so from /usr/lib"),
    ],
)
def test_what_speaks_against_an_engine(given: EngineFiles, why: str | None) -> None:
    found = unfit(given, Backend.CUDA, ("86",))
    assert found is None if why is None else found is not None and why in found


def test_what_nvcc_can_build() -> None:
    known = (75, 80, 86, 90)
    assert [buildable(arch, known) for arch in ("75", "86", "87", "89", "120", "70")] == [
        "75", "86", "86", "86", None, None,
    ]  # fmt: skip


# This machine, with one thing after another taken away.


def live(machine: Changed) -> tuple[Stack, BuildTools]:
    return examine(machine, subject="this machine").stack, probe_build_tools(machine)


def faults(machine: Changed, backend: Backend, room: Room = ROOM, archs: tuple[str, ...] = ()) -> list[str]:
    stack, tools = live(machine)
    return [one.fault for one in find_missing(stack, tools, room, backend=backend, archs=archs)]


def test_each_prerequisite_removed(tmp_path: Path) -> None:
    nothing = Changed(variables={"PATH": str(tmp_path)})
    stack, tools = live(nothing)
    found = find_missing(stack, tools, ROOM, backend=Backend.CPU, archs=())
    assert [one.fault for one in found] == ["build-tool-missing"] * 3
    assert [one.what.partition(" is not")[0] for one in found] == [
        "CMake",
        "a C++ compiler",
        "ninja (or make)",
    ]
    if "debian" in str(stack.kernel.distribution):
        assert [one.command[-1] for one in found] == ["cmake", "build-essential", "ninja-build"]
    assert faults(nothing, Backend.CUDA)[-1] == "nvcc-not-found"

    small = Room(Known(200 * MIB, "/state"), Known(1 * GIB - 1, "/proc/meminfo"))
    assert faults(nothing, Backend.CPU, small)[-2:] == ["disk-full", "build-out-of-memory"]
    bare = Changed()
    disk_only = Room(Known(200 * MIB, "/state"), Known(GIB, "/proc/meminfo"))
    assert [one for one in faults(bare, Backend.CPU, disk_only) if one != "build-tool-missing"] == [
        "disk-full"
    ]
    assert "build-out-of-memory" in faults(bare, Backend.CUDA, Room(ROOM.disk, Known(GIB, "/proc/meminfo")))


def test_a_compiler_that_nvcc_accepts_is_found_beside_a_newer_one() -> None:
    facts = case("host-compiler-unsupported/machine-gcc-15")
    choice = choose(facts, SetupWishes(method=Method.SOURCE))
    assert accepted_compiler(facts.stack, facts.tools) is None
    older = replace(
        facts.tools, versioned_compilers=((12, "/usr/bin/g++-12"), (13, "/usr/bin/g++-13"), (15, "/x"))
    )
    assert accepted_compiler(facts.stack, older) == "/usr/bin/g++-13"
    assert "host-compiler-unsupported" not in missing_of(replace(facts, tools=older), choice)
