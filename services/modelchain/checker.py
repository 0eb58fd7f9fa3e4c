"""A program of its own: lets onnx check a graph from standard input and work out its shapes, and may die of it.

onnx's checker is written in C++ and trusts the graph: one attribute that does not fit can end the process it runs in. So it never
runs in a process that does anything else (``soundness.py``), and this one can do nothing: it has no secrets, writes no
files and has bounded memory and time.
"""

from __future__ import annotations

import json
import math
import resource
import sys

import onnx

TRIAL = 7
"""The batch that shapes are worked out for: a number that no other axis is likely to have."""

CPU_SECONDS = 60

MEMORY_BYTES, MEMORY_TIMES = 2**31, 8
"""Address space: for the libraries, and so many times the graph, which is copied while it is checked."""


def bounded(size: int) -> None:
    """Take away from this process what it does not need for a graph of so many bytes."""
    memory = MEMORY_BYTES + MEMORY_TIMES * size
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, memory),
    ):
        resource.setrlimit(limit, (most, most))


def judged(data: bytes) -> dict[str, str | int | None]:
    """Return what is wrong with a graph, if anything is, and which result between its ends is the largest.

    Returns:
        ``fault``, a text or ``None``; ``largest``, a name, and ``values``, how many numbers it holds for one example.
    """
    try:
        model = onnx.load_model_from_string(data)
        for end in (*model.graph.input, *model.graph.output):
            end.type.tensor_type.shape.dim[0].dim_value = TRIAL
        onnx.checker.check_model(model)
        # Strict: what is declared must be what comes out.
        known = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        return {"fault": str(error), "largest": None, "values": 0}
    # What is not known counts as one: what a text is cut into, for example, depends on the text.
    sizes = {
        value.name: math.prod(max(each.dim_value, 1) for each in value.type.tensor_type.shape.dim)
        for value in known.graph.value_info
    }
    largest = max(sizes, key=sizes.__getitem__, default=None)
    return {"fault": None, "largest": largest, "values": sizes[largest] // TRIAL if largest else 0}


if __name__ == "__main__":
    bounded(int(sys.argv[1]))
    sys.stdout.write(json.dumps(judged(sys.stdin.buffer.read())))
