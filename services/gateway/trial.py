"""Loads a model in a process of its own first: one that crashes there does not take the gateway with it.

What is tried comes by standard input: the schema on one line, then the graph. Exit 0 says that it loads and answers.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from pydantic import ValidationError

from services.gateway.inference import InferenceError, Session, self_test
from services.modelchain.schema import Schema

SECONDS = 60
"""Of wall time."""

PROCESSOR_SECONDS = 60
"""Of a processor; afterwards the process is ended by the system."""

MEMORY_BYTES = 8 * 2**30
"""Of addresses: ONNX Runtime and numpy reserve about 1 GB, a model may hold 512 MB three times."""


class TrialError(Exception):
    """The model did not pass; one sentence."""


def tried(graph: bytes, schema: Schema) -> None:
    """Return if a model loads and answers.

    Raises:
        TrialError: it does not, or it ended or outlasted the process.
    """
    limits = str(PROCESSOR_SECONDS), str(MEMORY_BYTES)
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and this module
            [sys.executable, "-P", "-s", "-m", "services.gateway.trial", *limits],
            input=schema.model_dump_json().encode() + b"\n" + graph,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            # Nothing of this process's own environment: there may be credentials in it.
            env={"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
        )
    except subprocess.TimeoutExpired:
        raise TrialError(f"did not answer within {SECONDS} seconds when it was tried") from None
    except OSError as error:
        raise TrialError(f"could not be tried: {error.strerror}") from None
    if done.returncode < 0:
        raise TrialError(f"ended the process that tried it, with signal {-done.returncode}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing was said"]
        raise TrialError(said[-1][:300])


def main() -> int:
    """Try what comes by standard input."""
    for limit, most in (
        (resource.RLIMIT_CPU, int(sys.argv[1])),
        (resource.RLIMIT_AS, int(sys.argv[2])),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        schema = Schema.model_validate_json(sys.stdin.buffer.readline())
        self_test(Session(sys.stdin.buffer.read(), schema))
    except (InferenceError, ValidationError, MemoryError) as error:
        sys.stderr.write(f"{error or type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
