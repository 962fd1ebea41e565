"""`bringup plan` as a person runs it: text at several widths, JSON, picture, exit codes."""

from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.schema import load_schema, problems
from tests.stubs.command_line import Home, argv, run_cli
from tests.stubs.terminal import Terminal

from bringup.faces.render.format import display_width

CARD = ("--gpu", "RTX 3060", "--ram", "64G")
MISFIT = ("-c", "128k", "-ngl", "all", "--n-cpu-moe", "0", "-ctk", "f16", "-ctv", "f16")
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def answered(home: Path, *arguments: str) -> tuple[int, Any]:
    done = run_cli(Home(home), "plan", *arguments, "--json")
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_json_fits_its_schema(own_home: Path, gpt_oss: Path) -> None:
    schema = load_schema("plan")
    code, value = answered(own_home, str(gpt_oss), *CARD)
    assert (code, value["fits"], problems(value, schema)) == (0, True, [])
    code, value = answered(own_home, str(gpt_oss), *CARD, *MISFIT)
    assert (code, value["fits"], problems(value, schema)) == (1, False, [])
    assert value["nearest_fit"]["options"][0] == "--ctx-size"
    code, value = answered(own_home, str(gpt_oss), "--cpu-only")
    assert problems(value, schema) == []
    assert {part["device"] for part in value["parts"]} == {"CPU"}


def test_a_file_that_is_not_whole_is_not_said_to_fit(own_home: Path, gpt_oss: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.gguf"
    with gpt_oss.open("rb") as whole:
        path.write_bytes(whole.read(14 * 1024**2))
    code, value = answered(own_home, str(path))
    assert (code, value["can_run"]) == (1, False)
    assert value["model"]["missing_file_bytes"] > 11 * 1024**3
    assert problems(value, load_schema("plan")) == []
    table = run_cli(Home(own_home), "plan", "--compare", str(path), "RTX 3060")
    assert table.returncode == 1 and "no engine can load it yet" in table.stdout
    log = run_cli(Home(own_home), "log", "--json").stdout
    assert "half.gguf: No engine can load it yet" in log


def test_json_totals_are_sums_of_its_parts(own_home: Path, llama: Path) -> None:
    _, value = answered(own_home, str(llama), *CARD, "--held", "700M")
    for device in value["devices"]:
        own = [p for p in value["parts"] if p["device"] == device["name"] and p["name"] != "other_programs"]
        assert device["planned_bytes"] == sum(part["bytes"] for part in own)
        assert device["left_bytes"] == device["free_bytes"] - device["planned_bytes"]
        assert all(part["formula"] and part["source"] for part in own)
    assert value["devices"][0]["held_bytes"] == 700 * 1024**2


def test_main_memory_is_measured_on_request(own_home: Path, small_model: Path) -> None:
    _, value = answered(own_home, str(small_model), "--cpu-only", "--measure-ram")
    sources = " ".join(value["speed"]["sources"])
    assert "measured on this machine" in sources
    assert "assumed" not in sources


def test_a_comparison(own_home: Path, gpt_oss: Path, llama: Path) -> None:
    names = (str(gpt_oss), str(llama), "RTX 3060", "RTX 5090")
    done = run_cli(Home(own_home), "plan", "--compare", *names, "--ram", "64G")
    assert done.returncode == 0
    rows = [line for line in done.stdout.splitlines() if line.startswith(("gpt-oss-20b", "Llama-3.1-8B"))]
    assert len(rows) == 4
    assert all(re.search(r"\d \(\d[\d.]*-\d[\d.]*\)", row) for row in rows), "each speed has its band"
    code, value = answered(own_home, "--compare", str(llama), "RTX 3060")
    assert (code, problems(value, load_schema("plan-comparison"))) == (0, [])
    assert [problems(plan, load_schema("plan")) for plan in value["plans"]] == [[]]


def test_a_short_name_is_a_model_also_where_a_card_is_called_like_it() -> None:
    from bringup.actions.planning.compare import split_names
    from bringup.store.catalogue import catalogue

    names = [known for entry in catalogue() for known in (entry.name, *entry.aliases)]
    assert split_names([*names, "RTX 3060"])[0] == tuple(names)


def test_a_comparison_of_which_nothing_fits(own_home: Path, gpt_oss: Path) -> None:
    done = run_cli(Home(own_home), "plan", "--compare", str(gpt_oss), *CARD, *MISFIT)
    assert done.returncode == 1
    assert "does not fit; ask for a smaller window: --ctx-size" in done.stdout


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(own_home: Path, gpt_oss: Path, columns: int) -> None:
    words = argv("plan", str(gpt_oss), *CARD, *MISFIT, "--verbose")
    with Terminal(words, Home(own_home).environment(), columns=columns) as terminal:
        terminal.wait_for(r"--held 1G\)")
        assert terminal.wait_end() == 1
        shown = terminal.raw.decode()
    assert "\x1b[31m" in shown and "\x1b[34m" in shown
    lines = ESCAPES.sub("", shown).replace("\r", "").split("\n")
    too_wide = [line for line in lines if display_width(line) > columns and "--model" not in line]
    assert too_wide == []
    assert any(line.startswith("CUDA0") for line in lines)


def test_no_colour_and_pipes_get_plain_text(own_home: Path, gpt_oss: Path) -> None:
    done = run_cli(Home(own_home), "plan", str(gpt_oss), *CARD)
    assert "\x1b" not in done.stdout
    assert "█ weights" in done.stdout
    with Terminal(
        argv("plan", str(gpt_oss), *CARD), Home(own_home).environment(NO_COLOR="1"), columns=80
    ) as terminal:
        terminal.wait_for(r"--held 1G\)")
        assert terminal.wait_end() == 0
        assert b"\x1b" not in terminal.raw


def test_an_output_without_block_characters_gets_letters(own_home: Path, gpt_oss: Path) -> None:
    done = run_cli(Home(own_home), "plan", str(gpt_oss), *CARD, PYTHONIOENCODING="ascii")
    assert "W weights" in done.stdout and "WWWW" in done.stdout
    assert "?" not in done.stdout


def test_the_command_can_be_pasted(own_home: Path, gpt_oss: Path, tmp_path: Path) -> None:
    awkward = tmp_path / "it's a model.gguf"
    awkward.symlink_to(gpt_oss)
    done = run_cli(Home(own_home), "plan", str(awkward), *CARD)
    block = done.stdout[done.stdout.index("  llama-server") :].split("\n\n")[0]
    words = shlex.split(block.replace("\\\n", " "))
    _, value = answered(own_home, str(awkward), *CARD)
    assert words == value["command"]
    assert words[2] == str(awkward)


def test_a_picture(own_home: Path, gpt_oss: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    for _ in range(2):  # an older picture is replaced
        done = run_cli(Home(own_home), "plan", str(gpt_oss), *CARD, *MISFIT, "--svg", str(path))
        assert done.returncode == 1
    root = ElementTree.fromstring(path.read_text())
    texts = " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "gpt-oss-20b" in texts and "does not fit" in texts and "131,072" in texts
    width = float(root.attrib["width"])
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x", 0)) + float(box.get("width", 0)) <= width + 0.1


def test_a_picture_replaces_nothing_else(own_home: Path, gpt_oss: Path, tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("dear diary")
    done = run_cli(Home(own_home), "plan", str(gpt_oss), *CARD, "--svg", str(path))
    assert done.returncode == 2
    assert path.read_text() == "dear diary"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpu", "RTX 3061"), "NVIDIA GeForce RTX 3060"),
        (("-c", "-5"), "-5"),
        (("-ctk", "q3_k"), "q8_0"),
        (("-ctv", "q8_0", "-fa", "off"), "flash attention"),
        (("--cpu-only", "--gpu", "RTX 3060"), "--cpu-only"),
        (("-ot", "ffn"), "PATTERN=DEVICE"),
        (("-ot", "ffn(=CPU"), "regular expression"),
        (("-ts", "3,x", "--gpu", "RTX 3060"), "proportions"),
        (("-ngl", "\u00b2"), "number of layers"),
        (("-ts", "1,nan", "--gpu", "RTX 3060"), "proportions"),
        (("--ram", "9" * 400), "400 digits"),
        (("--vram", "much"), "12G"),
        (("--gpu", "RTX 3060", "--held", "20G"), "--held"),
    ],
)
def test_wrong_use_is_told(own_home: Path, llama: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run_cli(Home(own_home), "plan", str(llama), *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_two_models_want_a_comparison(own_home: Path, llama: Path) -> None:
    done = run_cli(Home(own_home), "plan", str(llama), str(llama))
    assert done.returncode == 2
    assert "--compare" in done.stderr


def test_an_older_engine_is_planned_by_its_own_rules(own_home: Path, gpt_oss: Path) -> None:
    def compute_bytes(*build: str) -> int:
        _, value = answered(own_home, str(gpt_oss), *CARD, "-c", "8192", "-ub", "512", *build)
        return sum(one["bytes"] for one in value["parts"] if one["name"] == "compute")

    newest, before = compute_bytes("--engine-build", "b11434"), compute_bytes("--engine-build", "b10644")
    assert compute_bytes() == before, "a card that is not here is planned as cards' logs are known"
    assert newest > before + 2 * 2880 * 512 * 4, "inputs of batches that mix tokens and embeddings"
    older = compute_bytes("--engine-build", "9010")
    assert older > before + 300 * 1024**2, "logits of every token"
    done = run_cli(Home(own_home), "plan", str(gpt_oss), "--engine-build", "newest")
    assert done.returncode == 2
    assert "no build of llama.cpp" in done.stderr
