"""`/metrics`: what Prometheus reads, by its own parser; names and units by its conventions."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.live import made

from bringup.faces.web.exporter import exposition

DASHBOARD = Path(__file__).parents[2] / "contrib/grafana-dashboard.json"
UNITS = (
    "_bytes",
    "_seconds",
    "_ratio",
    "_celsius",
    "_watts",
    "_tokens",
    "_total",
    "_up",
    "_waiting",
    "_fault",
)


def families(name: str = "gpt-oss-20b") -> dict[str, list[tuple[dict[str, str], float]]]:
    text = exposition(made.sample(name), made.HEALTH, now_s=made.NOW_S + 2).decode()
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(text)
    }


def test_the_figures_are_those_of_the_sample() -> None:
    found = families()
    assert found["bringup_sample_age_seconds"] == [({}, 2.0)]
    card = {"card": "0", "name": "NVIDIA GeForce RTX 3080 Ti"}
    assert (card, 0.97) in found["bringup_card_busy_ratio"]
    assert (card, 338.0) in found["bringup_card_power_watts"]
    assert [value for _, value in found["bringup_card_up"]] == [1.0, 0.0]
    engine = {"engine": "8080", "model": "gpt-oss-20b"}
    assert found["bringup_engine_generated_tokens"] == [(engine, 4210.0)]
    assert (engine | {"slot": "0"}, 2512.0) in found["bringup_engine_slot_filled_tokens"]
    ((named, planned),) = found["bringup_engine_planned_tokens_per_second"]
    assert named == engine
    assert 31 < planned < 52, "between a full window and an empty one"
    assert found["bringup_root_fault"] == [({"fault": "gpu-fell-off-bus"}, 1.0)]
    shares = sum(value for labels, value in found["bringup_card_memory_bytes"] if labels["card"] == "0")
    assert shares == 12 * 1024**3


def test_what_nobody_could_tell_is_absent() -> None:
    text = exposition(made.without_cards("gone"), None, now_s=made.NOW_S).decode()
    names = {family.name for family in text_string_to_metric_families(text) if family.samples}
    assert not [name for name in names if name.startswith("bringup_card")]
    assert "bringup_memory_bytes" in names


def test_a_hostile_name_is_one_label() -> None:
    found = families('evil"} 1\nbringup_card_up{card="9"} 1\n' + made.HOSTILE)
    assert len(found["bringup_card_up"]) == 2
    (label, _) = found["bringup_engine_up"][0]
    assert "\x1b" not in label["model"]


def test_names_have_their_units() -> None:
    for name in families():
        assert re.fullmatch(r"bringup_[a-z_]+", name)
        assert name.endswith(UNITS) or name.endswith("_per_second"), name


def test_the_dashboard_asks_for_what_there_is() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = set(re.findall(r"bringup_[a-z_]+", json.dumps([p["targets"] for p in dashboard["panels"]])))
    text = exposition(made.sample(), made.HEALTH, now_s=made.NOW_S).decode()
    there = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    assert asked
    assert asked <= there, asked - there
