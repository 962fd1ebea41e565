"""llama.cpp's automatic fit stepped aside, and the load failed for want of memory.

Symptom: "failed to fit params to free device memory: ... already set by user, abort", then out of memory.
Reason: the fit lowers context and layers until the model goes into the free memory, but only those that
    were left open. With -ngl, --tensor-split, -ot or --cpu-moe set by hand it gives up and loads as told.
Sources: https://github.com/ggml-org/llama.cpp/issues/27872
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
Limits: the same line above a load that succeeds is no fault.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._out_of_memory import deadly_allocation
from bringup.reading import Known
from bringup.stack.engine_log import Phase

_GAVE_UP = (
    r"failed to fit params to free device memory: (.+)|"
    r"trying to fit params .*: failed to create llama_context"
)
"""`encountered an error while trying to fit params ...: failed to load model` follows any broken model."""

_OTHER_REASONS = (
    "requires flash",
    "does not divide",
    "error loading model",
    "not implemented",
    "unsupported",
)
"""A dry run that could not make a context for one of these did not fail for want of memory."""

SIGNS = (
    Sign(
        r"failed to fit params to free device memory: .{1,80} set by user",
        anchor="failed to fit params to free device memory",
        example="common_fit_params: failed to fit params to free device memory: n_gpu_layers already set by"
        " user to 99, abort",
        certainty=Certainty.LIKELY,
        unless=("listening on", "slots are idle", "n_slots", "tokens per second"),
        is_weak=True,
    ),
)

STEPS = (
    Step("See how much is free and who holds the rest.", ("nvidia-smi",), safety=Safety.LOOK),
    Step(
        "Leave out -ngl, -ts, -ot and --cpu-moe and let the fit choose, or set the context by hand as"
        " well: -c 16384.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former options",
        verify=("nvidia-smi",),
    ),
    Step(
        "For split mode tensor or row, which the fit cannot handle, give the context and the layers"
        " yourself.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former options",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The fit aborted, and nothing says that the model was loaded afterwards."""
    hit = scene.lines.last(_GAVE_UP, anchor="fit")
    if hit is None:
        return None
    log = scene.stack.runtime.log
    if isinstance(log, Known) and log.value.last_line_of(Phase.SERVING) > hit[0].number:
        return None
    failed = scene.lines.has_any("failed to load model", "exiting due to")
    named = hit[1][1] is None and scene.lines.has_any(*_OTHER_REASONS)
    if named or not (failed or deadly_allocation(scene)):
        return None
    return Evidence(
        saw=hit[0].text.strip()[:240],
        expected="a fit that ends with success, or a load that fits anyway",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        certainty=Certainty.SURE if hit[1][1] else Certainty.LIKELY,
        decides="" if hit[1][1] else "llama-server --verbose",
        strength=4,
    )
