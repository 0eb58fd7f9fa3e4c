"""Whether a graph is sound: onnx's checker says so, in a process of its own that may die of a hostile graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from services.modelchain.errors import ModelError, Unreadable

CHECKER = Path(__file__).with_name("checker.py")

LONGEST_SECONDS = 120.0

MOST_VALUES = 2**26
"""Of any result between input and output, for one example: 256 MiB of float32."""


def check(data: bytes, where: str) -> None:
    """Refuse a graph that onnx's checker refuses, or that would fill the memory.

    Args:
        data: A graph that ``graphs.check`` took.
        where: Its name, for what is said.

    Raises:
        ModelError: says what is wrong.
    """
    said = _asked(data, where)
    if said["fault"] is not None:
        raise ModelError(f"{where}: is not a sound graph: {said['fault']}")
    if said["values"] > MOST_VALUES:
        raise ModelError(
            f"{where}: {said['largest']!r} would hold more than {MOST_VALUES} values for one example"
        )


def _asked(data: bytes, where: str) -> Any:
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and a file beside this one
            [sys.executable, "-P", "-s", str(CHECKER), str(len(data))],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST_SECONDS,
            # Nothing of this process's own environment: there may be credentials in it.
            env={
                "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{where}: is not a sound graph: checking it takes longer than {LONGEST_SECONDS:g} s"
        ) from None
    except OSError as error:
        raise Unreadable(f"{where}: the checker cannot be started: {error.strerror}") from None
    if done.returncode < 0:
        raise ModelError(f"{where}: is not a sound graph: the checker does not survive it")
    if done.returncode > 0:
        raise Unreadable(f"{where}: the checker does not run on this machine; is onnx installed?")
    return json.loads(done.stdout)
