"""Have the right llama.cpp: look, choose, build, prove, and only then make it the current one."""

from __future__ import annotations

import contextlib
from typing import Final, Protocol

from bringup.actions.diagnosis.doctor import Examination, examine, examine_text
from bringup.actions.setting_up.choice import Facts, Method, SetupChoice, choose
from bringup.actions.setting_up.needs import (
    Missing,
    Room,
    accepted_compiler,
    buildable,
    find_missing,
    find_missing_for_ready,
)
from bringup.actions.setting_up.prove import PROOF_LOG, prove_build
from bringup.actions.setting_up.ready import obtain_release, obtain_wheel, parse_archive
from bringup.actions.setting_up.record import SetupRecord
from bringup.actions.setting_up.request import SetupPlan, SetupRequest, SetupResult
from bringup.actions.setting_up.source import SourceWishes, build_number_of, name_of, obtain_source
from bringup.actions.surroundings import Surroundings
from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.builds import BuildRecord, NewBuild, check_not_worse, publish
from bringup.engine.compiling import (
    BuildFailed,
    BuildProgress,
    compile_all,
    configure,
    gather,
    has_broken_amx,
)
from bringup.engine.find import find_embedded, read_version
from bringup.engine.proof import Proof
from bringup.engine.source_build import WITHOUT_AMX, Backend, BuildJob, choose_jobs
from bringup.engine.unproved import forget_failure, note_failure
from bringup.errors import BringupError, CannotTell, EngineError, Failure, FileTrouble
from bringup.machine import clock, files, folders, locks, paths, scratch
from bringup.machine.folders import Folders
from bringup.reading import Known, Reading, Unreadable, convert
from bringup.records import dataclass, replace
from bringup.stack.build_tools import BuildTools, probe_build_tools
from bringup.stack.host import Host, probe_host
from bringup.store.progress import TransferProgress

_LOG: Final = "build.log"
_SHOWN_LINES: Final = 3


class SetupWatcher(Protocol):
    """What a face is told meanwhile."""

    def planned(self, plan: SetupPlan) -> None:
        """What will be done."""

    def step(self, text: str) -> None:
        """What is being done now."""

    def building(self, progress: BuildProgress) -> None:
        """A moment of the compilation."""

    def fetching(self, progress: TransferProgress) -> None:
        """A moment of a download."""

    def warning(self, why: str) -> None:
        """What was done could not be written to the journal; empty where it could."""


@dataclass(frozen=True, slots=True)
class _Seen:
    examination: Examination
    tools: BuildTools
    host: Host
    room: Room


def plan_setup(request: SetupRequest, around: Surroundings) -> SetupPlan:
    """What would be done on this machine; nothing is changed.

    Raises:
        EngineError: a card is here and cannot be used now.
        WrongUse: a wish that cannot be followed.
    """
    return _plan(_with_index(request, around), around.folders, _look(around))


def _with_index(request: SetupRequest, around: Surroundings) -> SetupRequest:
    """The index of the configuration, where none was typed."""
    if request.wishes.index is not None:
        return request
    return replace(request, wishes=replace(request.wishes, index=around.configuration.engine.wheel_index))


def run_setup(
    request: SetupRequest, around: Surroundings, watcher: SetupWatcher, *, model_path: str
) -> SetupResult:
    """Have the right engine, proved.

    Args:
        request: what the user wants.
        around: machine and folders.
        watcher: hears what is done.
        model_path: a small chat model for the proof.

    Raises:
        EngineError: something is missing (each is named), the build failed (with its diagnosis), or the
            engine did not pass the proof. The engine before it stays.
        WrongUse: a wish that cannot be followed.
        Failure: another setup runs.
    """
    record = SetupRecord(around.folders)
    try:
        result = _run(request, around, watcher, model_path, record)
    except BringupError as problem:
        watcher.warning(record.failed(request, problem))
        raise
    except KeyboardInterrupt:
        watcher.warning(record.stopped())
        raise
    watcher.warning(record.proved(result))
    return result


def _run(
    request: SetupRequest, around: Surroundings, watcher: SetupWatcher, model_path: str, record: SetupRecord
) -> SetupResult:
    watcher.step("looking at the machine")
    request = _with_index(request, around)
    seen = _look(around)
    plan = _plan(request, around.folders, seen)
    watcher.planned(plan)
    if not request.may_lose_card:
        check_not_worse(around.folders, plan.choice.backend.value)
    lease = locks.try_lease(paths.join(around.folders.build_work, "lock"))
    if isinstance(lease, locks.Holder):
        raise Failure(
            f"another bringup setup is at work (process {lease.pid})",
            hint="Wait for it, or end it; what it has built so far stays.",
            reference="setup-runs",
        )
    with lease:
        watcher.warning(record.begins(plan))
        if plan.choice.method is Method.EXISTING:
            return _prove_existing(plan, around, watcher, model_path)
        if plan.missing:
            raise _blocked(plan.missing)
        work = paths.join(around.folders.build_work, plan.name)
        files.make_private_folder(work)
        forget_failure(work)
        try:
            if plan.choice.method is Method.SOURCE:
                return _build(plan, request, around, watcher, model_path)
            return _take_ready(plan, request, seen, around, watcher, model_path)
        except BringupError as problem:
            with contextlib.suppress(FileTrouble):  # the disk may be full: that is said already
                note_failure(work, problem)
            raise


def _look(around: Surroundings) -> _Seen:
    examination = examine(around.machine, subject="this machine")
    host = probe_host(around.machine)
    disk = convert(around.machine.disk_space(around.folders.state), lambda space: space.free_bytes)
    return _Seen(examination, probe_build_tools(around.machine), host, Room(disk, _free_memory(host)))


def _free_memory(host: Host) -> Reading[int]:
    try:
        return Known(host.free_for_us_bytes, host.memory_available_bytes.source)
    except CannotTell as problem:
        return Unreadable(host.memory_available_bytes.source, problem.message)


def _plan(request: SetupRequest, ours: Folders, seen: _Seen) -> SetupPlan:
    stack, tools = seen.examination.stack, seen.tools
    facts = Facts(stack, seen.examination.diagnosis, tools, find_embedded() is not None)
    wishes = request.wishes
    if request.source != SourceWishes() and wishes.method is None:
        wishes = replace(wishes, method=Method.SOURCE)
    choice = choose(facts, wishes)
    if choice.method is Method.EXISTING:
        return SetupPlan(choice)
    if choice.method is not Method.SOURCE:
        if choice.method is Method.RELEASE:
            parse_archive(request.source.source)
        missing = find_missing_for_ready(seen.room, backend=choice.backend)
        return SetupPlan(choice, missing, None, f"{choice.method.value}-{choice.backend.value}")
    missing = find_missing(stack, tools, seen.room, backend=choice.backend, archs=choice.cuda_archs)
    archs = _build_archs(choice, seen)
    name = "-".join((name_of(request.source), choice.backend.value, *archs))
    work = paths.join(ours.build_work, name)
    nvcc = stack.toolkit.nvcc
    job = BuildJob(
        source=request.source.source or paths.join(work, "source"),
        folder=paths.join(work, "build"),
        backend=choice.backend,
        cmake=_path(tools.cmake) or "cmake",
        ninja=_path(tools.ninja),
        n_jobs=request.n_jobs or _jobs(seen, choice.backend),
        cuda_archs=archs,
        nvcc=nvcc.value.path if choice.backend is Backend.CUDA and isinstance(nvcc, Known) else None,
        host_compiler=accepted_compiler(stack, tools) if choice.backend is Backend.CUDA else None,
        uses_ccache=isinstance(tools.ccache, Known),
        build_number=build_number_of(request.source),
    )
    return SetupPlan(choice, missing, job, name)


def _build_archs(choice: SetupChoice, seen: _Seen) -> tuple[str, ...]:
    nvcc = seen.examination.stack.toolkit.nvcc
    if not isinstance(nvcc, Known) or not isinstance(nvcc.value.architectures, Known):
        return choice.cuda_archs
    known = nvcc.value.architectures.value
    return tuple(dict.fromkeys(buildable(arch, known) or arch for arch in choice.cuda_archs))


def _jobs(seen: _Seen, backend: Backend) -> int:
    cpus = seen.host.affinity_cpus if isinstance(seen.host.affinity_cpus, Known) else seen.host.logical_cpus
    free = seen.room.memory
    return choose_jobs(
        n_cores=cpus.value if isinstance(cpus, Known) else 1,
        free_bytes=free.value if isinstance(free, Known) else 0,
        backend=backend,
    )


def _path(reading: Reading[str]) -> str | None:
    return reading.value if isinstance(reading, Known) else None


def _blocked(missing: tuple[Missing, ...]) -> EngineError:
    lines = []
    for one in missing:
        lines.append(f"{one.what} [{one.fault}]")
        if one.command:
            lines.append(f"  get it: {' '.join(one.command)}")
        elif one.hint:
            lines.append(f"  {one.hint}")
    first = missing[0]
    return EngineError(
        "llama.cpp cannot be built here yet",
        context=tuple(lines),
        hint="Then run bringup setup again; bringup faults ID says more on each.",
        reference=first.fault,
    )


def _build(
    plan: SetupPlan, request: SetupRequest, around: Surroundings, watcher: SetupWatcher, model_path: str
) -> SetupResult:
    assert plan.job is not None, "a build from source has a job"
    tools = probe_build_tools(around.machine)
    work = paths.dirname(plan.job.folder)
    log_path = paths.join(work, _LOG)
    files.make_private_folder(work)
    environment = _build_environment()
    source = obtain_source(
        request.source, work, git=_path(tools.git), log_path=log_path, on_step=watcher.step
    )
    job = replace(plan.job, source=source.folder, compiler_flags=_flags(tools, work, environment))
    try:
        watcher.step("configuring")
        configure(job, environment=environment, log_path=log_path)
        compile_all(job, environment=environment, log_path=log_path, on_progress=watcher.building)
    except BuildFailed as problem:
        raise diagnosed(problem) from problem
    staged = paths.join(work, "staged")
    program = gather(job, staged)
    build = EngineBuild(EngineKind.EXTERNAL, program, read_version(around.machine, program), "our build")
    proof = prove_build(
        build, plan.choice.backend, around, model_path=model_path, work=work, on_step=watcher.step
    )
    new = NewBuild(plan.name, staged, job.backend.value, job.cuda_archs, "source", source.words)
    return SetupResult(plan, proof, _publish(new, proof, around, work))


def _take_ready(
    plan: SetupPlan,
    request: SetupRequest,
    seen: _Seen,
    around: Surroundings,
    watcher: SetupWatcher,
    model_path: str,
) -> SetupResult:
    """Have an engine that others built, prove it, make it the current one."""
    choice = plan.choice
    work = paths.join(around.folders.build_work, plan.name)
    if choice.method is Method.RELEASE:
        ready = obtain_release(
            parse_archive(request.source.source),
            choice,
            around.machine,
            work,
            on_step=watcher.step,
            on_progress=watcher.fetching,
        )
    else:
        ready = obtain_wheel(
            request.source,
            request.wishes.index,
            choice,
            work,
            driver=seen.examination.stack.nvml.cuda_version,
            on_step=watcher.step,
        )
    proof = prove_build(
        ready.build, choice.backend, around, model_path=model_path, work=work, on_step=watcher.step
    )
    new = NewBuild(
        ready.name, ready.folder, choice.backend.value, ready.cuda_archs, choice.method.value, ready.words
    )
    return SetupResult(plan, proof, _publish(new, proof, around, work))


def _publish(new: NewBuild, proof: Proof, around: Surroundings, work: str) -> BuildRecord:
    """Give it its name, with its logs beside it, and remove what only its making needed."""
    logs = tuple(name for name in (_LOG, PROOF_LOG) if files.exists(paths.join(work, name)))
    scratch.copy_files(work, new.folder, logs)
    record = publish(around.folders, new, proof, now_s=clock.wall_s())
    with contextlib.suppress(FileTrouble):  # it is proved and in use: a left-over is no failure
        scratch.remove_tree(work)
    return record


def _flags(tools: BuildTools, work: str, environment: dict[str, str]) -> tuple[str, ...]:
    """What this compiler must not do on this processor."""
    has_amx = isinstance(tools.has_amx, Known) and tools.has_amx.value
    compiler = _path(tools.compiler)
    if has_amx and compiler and has_broken_amx(compiler, work, environment=environment):
        return WITHOUT_AMX
    return ()


def diagnosed(problem: BuildFailed) -> EngineError:
    """A failed build as its cause, by the rules of the doctor; its last words where no rule knows them."""
    found = examine_text("\n".join(problem.said), subject="the build's output").diagnosis
    if found.roots:
        root = found.roots[0]
        return EngineError(
            f"{problem.message}: {root.fault.title}",
            context=(root.evidence.saw, f"expected: {root.evidence.expected}"),
            hint=f"bringup faults {root.fault.id} says what to do. The whole log: {problem.log_path}",
            reference=root.fault.id,
        )
    telling = [line.strip() for line in problem.said if "error" in line.lower() or "failed" in line.lower()]
    last = telling or [line.strip() for line in problem.said if line.strip()]
    return EngineError(
        f"{problem.message}, and no rule of ours knows why",
        context=tuple(line[:300] for line in last[:_SHOWN_LINES]),
        hint=problem.hint,
        reference=problem.reference,
    )


def _prove_existing(
    plan: SetupPlan, around: Surroundings, watcher: SetupWatcher, model_path: str
) -> SetupResult:
    """Prove an engine that is here; an external one gets a record and a link, so that it can be chosen."""
    engine = plan.choice.engine
    backend = plan.choice.backend
    embedded = find_embedded()
    work = paths.join(around.folders.build_work, "existing")
    files.make_private_folder(work)
    if engine is None:
        assert embedded is not None, "chosen because it is here"
        proof = prove_build(embedded, backend, around, model_path=model_path, work=work, on_step=watcher.step)
        return SetupResult(plan, proof, None)
    version = read_version(around.machine, engine.program)
    build = EngineBuild(EngineKind.EXTERNAL, engine.program, version, engine.origin)
    proof = prove_build(build, backend, around, model_path=model_path, work=work, on_step=watcher.step)
    staged = paths.join(work, "staged")
    scratch.remove_tree(staged)
    scratch.make_link(engine.program, paths.join(staged, "llama-server"))
    archs = engine.cuda_archs.value if isinstance(engine.cuda_archs, Known) else ""
    name = f"{version or 'llama'}-{backend.value}-here"
    new = NewBuild(
        name, staged, backend.value, tuple(filter(None, archs.split(";"))), "existing", engine.program
    )
    return SetupResult(plan, proof, _publish(new, proof, around, work))


def _build_environment() -> dict[str, str]:
    """The user's own, without what would change the build unseen."""
    return {name: value for name, value in folders.all_variables().items() if name not in _UNWANTED}


_UNWANTED: Final = frozenset(
    {"CFLAGS", "CXXFLAGS", "CUDAFLAGS", "LDFLAGS", "CMAKE_GENERATOR", "NINJA_STATUS"}
)
