"""What a text tells of before it shows that it is over is history; what comes after that is not."""

from __future__ import annotations

import re

import pytest

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._fault import Fault, Sign
from bringup.faults._scene import Scene
from bringup.stack.pasted import read_pasted

SMI = "| NVIDIA-SMI 570.172.08             Driver Version: 570.172.08     CUDA Version: 12.8     |"
LISTENS = "srv  llama_server: server is listening on http://127.0.0.1:8080"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"
MISSING = "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.0-63-generic"
REFUSED = "curl: (7) Failed to connect to 127.0.0.1 port 8080 after 0 ms: Connection refused"
OVERS = [(fault, sign) for fault in load_catalogue() for sign in fault.over]


def roots(*lines: str) -> list[str]:
    stack, read = read_pasted("\n".join(lines))
    return [root.fault.id for root in diagnose(Scene(stack, read), load_catalogue()).roots]


@pytest.mark.parametrize(
    ("trouble", "end", "fault_id"),
    [
        (MISMATCH, SMI, "driver-library-mismatch"),
        (MISSING, SMI, "module-missing-for-kernel"),
        (REFUSED, LISTENS, "server-not-ready"),
    ],
)
def test_only_what_comes_last_counts(trouble: str, end: str, fault_id: str) -> None:
    assert roots(trouble) == [fault_id]
    assert roots(trouble, "sudo reboot", end) == []
    assert roots(end, trouble) == [fault_id]
    assert roots(trouble, end, trouble) == [fault_id]


def test_the_hosts_table_does_not_heal_what_is_within_a_container() -> None:
    lost = "docker exec llm nvidia-smi", "Failed to initialize NVML: Unknown Error"
    assert roots(*lost, SMI) == ["container-gpu-lost"]


@pytest.mark.parametrize(("fault", "sign"), OVERS)
def test_the_end_of_a_fault_matches_its_example_and_no_sign_of_it(fault: Fault, sign: Sign) -> None:
    found = re.search(sign.pattern, sign.example)
    assert found is not None
    assert sign.anchor in found[0].lower()
    assert fault.id not in roots(sign.example)


def test_a_list_of_commits_is_no_report() -> None:
    commit = "90aa8812 (HEAD -> master) chat : say failed to parse chat template sooner (#12999)"
    assert roots(commit) == []
    assert roots("* " + commit) == []
    assert roots("failed to parse chat template (see #12999)") == ["chat-template-failed"]
