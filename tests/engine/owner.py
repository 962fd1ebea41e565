"""A made `bringup`: starts an engine from its main thread or another one, says what runs, then waits to die.

Run as a process: owner.py JSON, with `build` (embedded or a path), `settings`, `log_path`, `in_thread`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.command import EngineSettings
from bringup.engine.environment import clean_environment
from bringup.engine.server import RunningEngine
from bringup.engine.start import start_engine

JOB = json.loads(sys.argv[1])
KIND = EngineKind.EMBEDDED if JOB["build"] == "embedded" else EngineKind.EXTERNAL
ENGINES: list[RunningEngine] = []


def start() -> None:
    ENGINES.append(
        start_engine(
            EngineBuild(KIND, JOB["build"], "", ""),
            EngineSettings(**JOB["settings"]),
            log_path=JOB["log_path"],
            environment=clean_environment(os.environ, is_external=False).variables,
        )
    )


if JOB["in_thread"]:
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
if JOB["wait_ready"]:
    ENGINES[0].wait_ready()
else:
    while ENGINES[0].pid is None:
        time.sleep(0.001)
keeper = ENGINES[0].keeper_identity
assert keeper is not None
print(json.dumps({"engine": ENGINES[0].pid, "keeper": keeper.pid}), flush=True)
time.sleep(600)
