"""The kernel killed the engine because the main memory was used up.

Symptom: "Killed", "signal: killed", exit code 137, and no error of the engine itself.
Reason: weights that are not on the GPU, the KV cache and all other programs together needed more main
    memory than the machine, or the container's limit, has. The kernel then ends the process that holds
    the most.
Sources: https://github.com/ollama/ollama/issues/9685
    https://github.com/ollama/ollama/issues/10739
Limits: the victim need not be the culprit; compilers in the table of tasks mean `build-out-of-memory`.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.memory._killed import by_kernel, by_plan

SIGNS = (
    Sign(
        r"signal: killed\b",
        anchor="signal: killed",
        example='msg="error loading llama server" error="llama runner process has terminated: signal:'
        ' killed"',
        unless=("died due to signal 9", "ld terminated with signal 9", "cc1plus"),
    ),
    Sign(
        r"(?:with|by|received) signal 9\b",
        anchor="signal 9",
        example="llama-server died with signal 9",
        unless=("died due to signal 9", "ld terminated with signal 9", "cc1plus", "ldcache error"),
    ),
    Sign(
        r"(?:with|by|received) (?:signal )?SIGKILL\b",
        anchor="sigkill",
        example="llama-server was ended by signal SIGKILL",
        unless=("died due to signal 9", "ld terminated with signal 9", "cc1plus", "stop-sigterm"),
    ),
    Sign(
        r"^(?:\S{1,40}: line \d{1,10}: +\d{1,10} )?Killed\b(?! process)(?!.{0,120}(?:cc1|signal term))",
        anchor="killed",
        example="Killed",
        unless=("cc1plus", "cicc", "nvcc", "dkms"),
    ),
    Sign(
        r"OOMKilled\b(?!\"?: false)",
        anchor="oomkilled",
        example='            "OOMKilled": true,',
    ),
    Sign(
        r"Failed with result 'oom-kill'",
        anchor="failed with result 'oom-kill'",
        example="systemd[1]: ollama.service: Failed with result 'oom-kill'.",
    ),
    Sign(
        r"killed by the OOM killer",
        anchor="killed by the oom killer",
        example="ollama.service: A process of this unit has been killed by the OOM killer.",
    ),
    Sign(
        r"[Ee]xit(?:ed)?(?: with)? (?:code|status)[: ]+137\b",
        anchor="exit",
        example="llama-server-1 exited with code 137",
    ),
    Sign(
        r"[Ee]xited \(137\)",
        anchor="exited (137)",
        example='ghcr.io/ggml-org/llama.cpp:server   "/app/llama-server"   Exited (137) 2 minutes ago',
    ),
    Sign(
        r"Exit Code:\s+137\b",
        anchor="exit code:",
        example="      Exit Code:    137",
    ),
    Sign(
        r"returncode -9\b|exit code -9\b",
        anchor="code -9",
        example="RuntimeError: llama-server exited with returncode -9",
    ),
    Sign(
        r"oom-kill:constraint=",
        anchor="oom-kill:constraint=",
        example="oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=ollama,mems_allowed=0",
        certainty=Certainty.LIKELY,
        unless=(
            "cc1plus",
            "cicc",
            "nvcc",
            "dkms",
        ),
    ),
    Sign(
        r"systemd-oomd\S{0,12} [Kk]illed|earlyoom.{0,30}sending SIG(?:TERM|KILL)",
        anchor="oom",
        example="systemd-oomd[711]: Killed /user.slice/llama.scope due to memory used",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?:ollama|llama|kobold)[\w@.-]{0,40}\.service: Main process exited, code=killed, status=9/KILL",
        anchor="code=killed, status=9/kill",
        example="systemd[1]: ollama.service: Main process exited, code=killed, status=9/KILL",
        certainty=Certainty.LIKELY,
        unless=(
            "stopping timed out",
            "state 'stop-sigterm' timed out",
        ),
    ),
    Sign(
        r"\bzsh: killed\b|^\[\d{1,3}\]\s{1,8}[+-]?\s{0,3}\d{1,8}\s{1,4}killed\b",
        anchor="killed",
        example="zsh: killed     ./llama-server -m model.gguf",
        unless=(
            "cc1plus",
            "cicc",
            "nvcc",
            "dkms",
        ),
    ),
    Sign(
        r"(?i)\b(?:gets?|got|was|is|being|been|just) (?:\w{1,10} )?killed\b(?! by (?:the |an? )?(?:admin|"
        r"user|me\b|hand))",
        anchor="killed",
        example="while it loads the process just gets killed",
        certainty=Certainty.LIKELY,
        unless=(
            "i killed",
            "user killed",
            "gcc",
            "nvcc",
            "cc1plus",
        ),
        is_weak=True,
    ),
)

EXPLAINS = ("server-not-ready", "offload-partial", "running-on-cpu")

STEPS = (
    Step(
        "See whom the kernel killed and what held the memory.",
        ("journalctl", "-k", "--grep", "oom"),
        safety=Safety.LOOK,
    ),
    Step("See what is free now.", ("free", "-h"), safety=Safety.LOOK),
    Step(
        "Put more layers on the GPU, ask for a smaller context (-c 8192), fewer slots (-np 1) and a"
        " smaller prompt cache (--cache-ram 1024), or take a smaller quantisation.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former values",
        verify=("free", "-h"),
    ),
    Step(
        "Raise the container's or service's limit (docker run --memory, MemoryMax=) where the machine"
        " has more.",
        safety=Safety.SAFE,
        touches="the limit of this container or service",
        undo="the former limit",
        verify=("free", "-h"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The kernel's own word, or the figures of ollama's plan."""
    return by_kernel(scene) or by_plan(scene)
