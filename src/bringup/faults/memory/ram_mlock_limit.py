"""The engine may not lock as much memory as the model takes.

Symptom: "failed to mlock ... Cannot allocate memory. Try increasing RLIMIT_MEMLOCK"; the model may still run.
Reason: --mlock (or use_mlock) keeps the model from being swapped out by locking its pages, and the kernel
    allows each user only a few MiB of that unless the limit is raised.
Sources: https://github.com/abetlen/llama-cpp-python/issues/708
    https://man7.org/linux/man-pages/man2/mlock.2.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import Known

SIGNS = (
    Sign(
        r"failed to mlock",
        anchor="failed to mlock",
        example="warning: failed to mlock 39813120-byte buffer (after previously locking 4106670080"
        " bytes): Cannot allocate memory",
    ),
    Sign(
        r"increas\w{1,40} RLIMIT_M(?:EM)?LOCK|mlock\(\) failed|failed to VirtualLock",
        anchor="lock",
        example="Try increasing RLIMIT_MEMLOCK ('ulimit -l' as root).",
    ),
    Sign(
        r"max locked memory: cannot modify limit",
        anchor="max locked memory: cannot modify",
        example="-bash: ulimit: max locked memory: cannot modify limit: Operation not permitted",
    ),
)

STEPS = (
    Step("See the limit of your shell, in KiB (`ulimit -l`).", safety=Safety.LOOK),
    Step(
        "Leave --mlock out: the model is then read through the page cache, which is right for most machines.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="give the option again",
        verify=("bringup", "ps"),
    ),
    Step(
        "Raise the limit: `* - memlock unlimited` in a file in /etc/security/limits.d and a new login,"
        " LimitMEMLOCK=infinity in a systemd unit, --ulimit memlock=-1 for a container.",
        safety=Safety.SAFE,
        needs_root=True,
        touches="a limit of the system",
        undo="delete the line",
        verify=("bringup", "ps"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """An engine is told to lock its model, and this user may lock less than any model takes."""
    engines, limit = scene.stack.runtime.engines, scene.stack.memory.locked_limit_bytes
    if not isinstance(engines, Known) or not isinstance(limit, Known) or limit.value > 256 * 1024**2:
        return None
    engine = next((engine for engine in engines.value if engine.locks_memory), None)
    if engine is None:
        return None
    return Evidence(
        saw=f"{engine.program} (process {engine.process_id}) locks its model; the limit: {limit.value} bytes",
        expected="a limit above the size of the model, or no --mlock",
        sources=("/proc/*/cmdline", limit.source),
        certainty=Certainty.LIKELY,
        decides="the engine's log: failed to mlock",
        strength=5,
    )
