"""The proof of an engine as setup asks for it: with the user's key, in a clean environment."""

from __future__ import annotations

from collections.abc import Callable

from bringup.actions.surroundings import Surroundings
from bringup.engine.build import EngineBuild
from bringup.engine.environment import clean_environment
from bringup.engine.key import read_or_create_key
from bringup.engine.proof import Proof, ProofJob, prove
from bringup.engine.source_build import Backend
from bringup.machine import folders, paths

PROOF_LOG = "proof.log"


def prove_build(
    build: EngineBuild,
    backend: Backend,
    around: Surroundings,
    *,
    model_path: str,
    work: str,
    on_step: Callable[[str], None],
) -> Proof:
    """Prove it; `work` is the folder of its log.

    Raises:
        EngineError: it does not start, ends, answers wrongly, or not on the device that it claims.
    """
    read_or_create_key(around.folders)
    environment = clean_environment(
        folders.all_variables(), is_external=build.is_external, keep_engine_variables=False
    )
    job = ProofJob(
        build=build,
        backend=backend,
        model_path=model_path,
        key_file=around.folders.key_file,
        environment=environment.variables,
        log_path=paths.join(work, PROOF_LOG),
    )
    return prove(job, lambda text: on_step(f"proof: {text}"))
