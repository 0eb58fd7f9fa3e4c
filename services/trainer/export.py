"""The network as it is served: an ONNX graph that gives probabilities, and gives the same ones as torch."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import onnxruntime
import torch
from torch import nn

from services.shared.architectures import served
from services.trainer.errors import TrainerError

INPUT, OUTPUT = "values", "probabilities"
"""Names in the graph and in ``schema.json``."""

MOST_APART = 1e-5
"""Between a probability by ONNX Runtime and the same by torch: a hundred roundings of a float32 near one."""


def graph(network: nn.Sequential, shape: tuple[int, ...]) -> bytes:
    """Return the ONNX graph of a network with a softmax, for batches of any size.

    Raises:
        TrainerError: torch cannot write it.
    """
    model = served(network).eval()
    example = torch.zeros(2, *shape)
    # The exporter reports on what it does to people at a terminal.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise TrainerError(f"model: cannot be written as ONNX: {type(error).__name__}") from None
    if program is None:
        raise TrainerError("model: cannot be written as ONNX")
    return bytes(program.model_proto.SerializeToString())


class Answers:
    """Probabilities by ONNX Runtime, as the gateway gives them."""

    def __init__(self, data: bytes) -> None:
        """Load a graph."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return float32[n, classes] of float32[n, *shape]."""
        return np.asarray(self._session.run([OUTPUT], {INPUT: inputs})[0])


def same(answers: Answers, network: nn.Sequential, inputs: torch.Tensor) -> None:
    """Refuse a graph that answers otherwise than the network, to one example or to many.

    Raises:
        TrainerError: says how far apart they are.
    """
    with torch.no_grad():
        wanted = np.asarray(served(network).eval()(inputs))
    for count in {1, len(inputs)}:
        apart = float(np.abs(answers(np.asarray(inputs[:count])) - wanted[:count]).max())
        if not apart <= MOST_APART:
            raise TrainerError(
                f"model: its ONNX graph answers otherwise than torch, by {apart:.2g}; it is not released"
            )
