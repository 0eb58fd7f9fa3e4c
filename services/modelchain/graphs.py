"""ONNX graphs: what a graph may be made of, and that it takes and gives what the schema says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from onnx import ModelProto, TensorProto

from services.modelchain.errors import ModelError
from services.modelchain.operators import IR_VERSIONS, OPERATORS, VERSIONS
from services.modelchain.schema import Schema, TensorInput

MOST_NODES = 20_000
MOST_TENSORS = 20_000
LONGEST_NAME = 512
"""Characters; exporters write the path of a layer."""

NOTES = frozenset({"doc_string", "metadata_props"})
"""Exporters write stack traces and paths of the machine into them; ONNX Runtime takes settings from them."""

TAKEN = {
    "ModelProto": "ir_version opset_import producer_name producer_version domain model_version graph",
    "OperatorSetIdProto": "domain version",
    "GraphProto": "node name initializer input output value_info",
    "NodeProto": "input output name op_type domain attribute",
    "AttributeProto": "name type f i s t floats ints strings tensors",
    "TensorProto": "dims data_type data_location name raw_data"
    " float_data double_data int32_data int64_data uint64_data string_data",
    "ValueInfoProto": "name type",
    "TypeProto": "tensor_type",
    "Tensor": "elem_type shape",
    "TensorShapeProto": "dim",
    "Dimension": "dim_value dim_param",
}
"""Members of ``onnx.proto``, by message. What is not here is refused, and so is what a newer ONNX adds: functions,
graphs within graphs, training, data in other files, sparse and quantized forms, devices, notes."""

NAMES = frozenset(
    {"name", "input", "output", "op_type", "domain", "dim_param", "producer_name", "producer_version"}
)

DTYPES = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.INT8,
        TensorProto.INT16,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.UINT8,
        TensorProto.BOOL,
        TensorProto.STRING,
    }
)


def check(data: bytes, schema: Schema, where: str) -> None:
    """Refuse a graph that is not of the kind that is taken; whether it is sound, ``soundness`` knows.

    Raises:
        ModelError: it is not ONNX; it holds code, data or notes from elsewhere, or operators that are not on the
            list; or it does not take and give what the schema says.
    """
    model = _parsed(data, where)
    if not IR_VERSIONS[0] <= model.ir_version <= IR_VERSIONS[1]:
        raise ModelError(
            f"{where}: has IR version {model.ir_version}; take {IR_VERSIONS[0]} to {IR_VERSIONS[1]}"
        )
    if len(model.graph.node) > MOST_NODES or len(model.graph.initializer) > MOST_TENSORS:
        raise ModelError(f"{where}: has more than {MOST_NODES} operators or {MOST_TENSORS} tensors")
    _walk(model, where)
    _operators(model, where)
    _ends(model, schema, where)


def bare(data: bytes, where: str) -> bytes:
    """Return a graph without the notes that exporters leave in it; it computes the same.

    Raises:
        ModelError: it is not ONNX.
    """
    model = _parsed(data, where)
    for message in _messages(model):
        for note in NOTES & {field.name for field, _ in message.ListFields()}:
            message.ClearField(note)
    return bytes(model.SerializeToString(deterministic=True))


def _parsed(data: bytes, where: str) -> ModelProto:
    # Every writer of protobuf begins with the first member, the IR version: pickles, archives and programs do not.
    if data[:1] != b"\x08":
        raise ModelError(f"{where}: is not ONNX, whatever its name says")
    try:
        return onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise ModelError(f"{where}: is not ONNX: {error}") from None


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for _, value in message.ListFields():
        for inner in _inner(value):
            yield from _messages(inner)


def _inner(value: Any) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    elif not isinstance(value, str | bytes | int | float):
        yield from (each for each in value if isinstance(each, Message))


def _walk(model: ModelProto, where: str) -> None:
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if len(UnknownFieldSet(message)):
            raise ModelError(f"{where}: {kind} holds members that ONNX does not know")
        for field, value in message.ListFields():
            if field.name not in TAKEN.get(kind, "").split():
                raise ModelError(f"{where}: {_remedy(field.name)}")
            if field.name in NAMES and _longest(value) > LONGEST_NAME:
                raise ModelError(f"{where}: {kind}.{field.name} is longer than {LONGEST_NAME} characters")
        if isinstance(message, TensorProto):
            if message.data_location != TensorProto.DEFAULT:
                raise ModelError(f"{where}: {_remedy('external_data')}")
            if message.data_type not in DTYPES:
                raise ModelError(f"{where}: tensor {message.name!r} has a type that is not taken")


def _remedy(member: str) -> str:
    if member in NOTES:
        return f"holds notes ({member}); services.modelchain.folder.write takes them out"
    if member == "external_data":
        return "keeps data outside (external_data); save it in one file"
    if member == "functions":
        return "holds functions; put them in line (onnx.inliner)"
    return f"holds {member}, which is not taken"


def _longest(value: Any) -> int:
    names = [value] if isinstance(value, str) else [each for each in value if isinstance(each, str)]
    return max(map(len, names), default=0)


def _operators(model: ModelProto, where: str) -> None:
    seen: set[str] = set()
    for each in model.opset_import:
        domain = _domain(each.domain)
        if domain not in VERSIONS or domain in seen:
            raise ModelError(f"{where}: operator set {each.domain!r} is not taken, or stands twice")
        seen.add(domain)
        oldest, newest = VERSIONS[domain]
        if not oldest <= each.version <= newest:
            raise ModelError(
                f"{where}: has operator set {each.version} of {domain or 'ai.onnx'}; take {oldest} to {newest}"
            )
    for node in model.graph.node:
        domain = _domain(node.domain)
        if domain not in seen or node.op_type not in OPERATORS[domain]:
            raise ModelError(
                f"{where}: operator {node.op_type!r} of {node.domain or 'ai.onnx'} is not on the list"
            )


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _ends(model: ModelProto, schema: Schema, where: str) -> None:
    if isinstance(schema.input, TensorInput):
        taken = (TensorProto.FLOAT, schema.input.shape)
    else:
        taken = (TensorProto.STRING, (1,))
    _end(model.graph.input, "takes", schema.input.name, *taken, where)
    _end(
        model.graph.output,
        "gives",
        schema.output.name,
        TensorProto.FLOAT,
        (len(schema.output.classes),),
        where,
    )


def _end(found: Any, verb: str, name: str, dtype: int, shape: tuple[int, ...], where: str) -> None:
    wanted = f"{name!r}, {_dtype(dtype)}[{', '.join(['batch', *map(str, shape)])}]"
    # An initializer among the inputs is a weight that whoever asks may replace.
    if len(found) != 1 or found[0].name != name or found[0].type.tensor_type.elem_type != dtype:
        has = ", ".join(f"{each.name!r} ({_dtype(each.type.tensor_type.elem_type)})" for each in found[:4])
        raise ModelError(f"{where}: {verb} {has or 'nothing'}; the schema says {wanted}")
    dimensions = found[0].type.tensor_type.shape.dim
    if len(dimensions) != len(shape) + 1 or tuple(each.dim_value for each in dimensions[1:]) != shape:
        raise ModelError(f"{where}: {verb} {name!r} of another shape; the schema says {wanted}")
    if dimensions[0].HasField("dim_value"):
        raise ModelError(
            f"{where}: {verb} batches of {dimensions[0].dim_value} only; leave the batch open: {wanted}"
        )


def _dtype(number: int) -> str:
    names: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.STRING: "string"}
    return names.get(number, f"type {number}")
