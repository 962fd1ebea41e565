"""A cure in the words of the program that a text comes from, llama.cpp's own included."""

from __future__ import annotations

import pytest

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import Finding, diagnose
from bringup.faults._dialects import PROGRAMS, in_its_words
from bringup.faults._scene import Scene
from bringup.stack.pasted import read_pasted

NO_ROOM = "llama_kv_cache_init: failed to allocate buffer for kv cache"
OF_PROGRAM = {
    "ollama": "Error: llama runner process has terminated: exit status 2",
    "LM Studio": "[LMSInternal][Client=LM Studio][Endpoint=loadModel] Error in channel handler",
    "KoboldCpp": "Welcome to KoboldCpp - Version 1.104",
    "llama-cpp-python": '  File "/srv/venv/lib/python3.11/site-packages/llama_cpp/llama.py", line 371',
}


def root_of(text: str) -> Finding:
    stack, lines = read_pasted(text)
    return in_its_words(diagnose(Scene(stack, lines), load_catalogue()), lines).roots[0]


def said(finding: Finding) -> str:
    return " ".join(step.say for step in finding.evidence.steps or finding.fault.steps)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_cure_names_what_the_program_calls_it(program: object) -> None:
    name = next(one.name for one in PROGRAMS if one == program)
    finding = root_of(f"{OF_PROGRAM[name]}\n{NO_ROOM}")
    assert finding.fault.id == "vram-oom-kv-cache"
    window = next(one.options["-c"] for one in PROGRAMS if one.name == name).split(" ")[0]
    assert window in said(finding)
    assert f"In {name} that is" in said(finding)


def test_who_runs_llama_server_is_told_its_own_options() -> None:
    for text in (NO_ROOM, f"$ llama-server -m /srv/koboldcpp/model.gguf -c 65536\n{NO_ROOM}"):
        finding = root_of(text)
        assert finding.evidence.steps == ()
        assert " that is " not in said(finding)


def test_a_version_is_asked_of_the_program() -> None:
    refused = "error loading model architecture: unknown model architecture: 'gemma4'"
    ours = root_of(refused)
    assert ours.fault.steps[0].command == ("llama-server", "--version")
    asked = root_of(f"{OF_PROGRAM['ollama']}\n{refused}").evidence.steps
    assert asked[0].command == ("ollama", "--version")
    shown = root_of(f"{OF_PROGRAM['LM Studio']}\n{refused}").evidence.steps
    assert shown[0].command == ()
    assert "LM Studio" in shown[0].say
    assert not [step for step in (*asked, *shown) if "llama-server" in (*step.command, *step.verify)]


def test_what_the_steps_say_already_is_not_said_twice() -> None:
    cache = root_of(f"{OF_PROGRAM['ollama']}\nllama_context: V cache quantization requires flash_attn")
    assert cache.fault.id == "kv-quant-needs-flash-attn"
    assert said(cache).count("OLLAMA_FLASH_ATTENTION") == 1


def test_who_has_no_ollama_is_sent_to_no_ollama() -> None:
    too_long = "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"
    commands = [step.command[:1] for step in root_of(too_long).evidence.steps]
    assert ("bringup",) in commands
    assert ("ollama",) not in commands
    asked = root_of(f"{OF_PROGRAM['ollama']}\n{too_long}")
    assert ("ollama", "ps") in [step.command for step in asked.evidence.steps or asked.fault.steps]
