"""The buffers of an engine: as its own log tells them, or else by arithmetic from the model's header."""

from __future__ import annotations

from typing import Final

from bringup.actions.live.sample import EngineMemory
from bringup.engine.answers import EngineInfo
from bringup.engine.watch import foreign_lines, lines_at_start
from bringup.errors import BringupError
from bringup.machine.folders import Folders
from bringup.model.shards import Model
from bringup.plan.anatomy import take_apart
from bringup.plan.memory import plan_memory
from bringup.plan.plan import CacheTypes
from bringup.plan.request import CPU, Device, DeviceKind, Request
from bringup.reading import Known, Reading, Unreadable
from bringup.stack.engine_buffers import Buffer, BufferUse, read_buffers
from bringup.stack.engines import option
from bringup.store.header import load_model

_USES: Final = {
    "weights": BufferUse.WEIGHTS,
    "kv_cache": BufferUse.KV_CACHE,
    "kv_cache_swa": BufferUse.KV_CACHE,
    "kv_cache_index": BufferUse.KV_CACHE,
    "recurrent_state": BufferUse.STATE,
    "compute": BufferUse.COMPUTE,
    "output": BufferUse.OUTPUT,
}


def find_engine_memory(
    *, log_path: str, info: EngineInfo, command: tuple[str, ...], folders: Folders
) -> Reading[EngineMemory]:
    """The buffers of a ready engine.

    Args:
        log_path: its log; empty where we do not have it.
        info: the engine in its own words.
        command: its command line, for the types of its cache; may be empty.
        folders: ours, for the index of headers.
    """
    source = log_path or info.model_path
    try:
        model = load_model(info.model_path, folders=folders)
    except BringupError as problem:
        return Unreadable(source, problem.message)
    told = _told_by_log(log_path, model) if log_path else ()
    if told:
        return Known(EngineMemory(told, log_path, is_estimate=False), log_path)
    try:
        counted = _count(model, info, command)
    except BringupError as problem:
        return Unreadable(source, problem.message)
    return Known(EngineMemory(counted, "the model's header", is_estimate=True), info.model_path)


def _told_by_log(log_path: str, model: Model) -> tuple[Buffer, ...]:
    texts = (text for text in model.metadata.values() if isinstance(text, str))
    try:
        return read_buffers(lines_at_start(log_path), foreign=foreign_lines(texts))
    except BringupError:
        return ()


def _count(model: Model, info: EngineInfo, command: tuple[str, ...]) -> tuple[Buffer, ...]:
    types = CacheTypes(
        option(command, "-ctk", "--cache-type-k") or "f16", option(command, "-ctv", "--cache-type-v") or "f16"
    )
    request = Request(
        n_ctx=info.n_ctx * info.n_slots,
        n_parallel=info.n_slots,
        cache_type_k=types.k,
        cache_type_v=types.v,
    )
    main = Device(CPU, DeviceKind.CPU, 2**60, 2**60)
    plan = plan_memory(take_apart(model), request, (main,))
    return tuple(
        Buffer(_USES[part.name], part.device, part.bytes) for part in plan.parts if part.name in _USES
    )
