"""Graphs: code and data from elsewhere, operators off the list, ends that the schema does not know, bombs."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper

from services.modelchain import graphs, soundness
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.operators import IR_VERSIONS, OPERATORS, VERSIONS
from services.modelchain.schema import Schema
from tests.services.modelchain import making
from tests.services.modelchain.making import graph_of_numbers, graph_of_text, tensor


def check(model: ModelProto, schema: Schema = making.SCHEMA_OF_NUMBERS) -> None:
    graphs.check(model.SerializeToString(), schema, "model.onnx")


def is_sound(model: ModelProto) -> None:
    soundness.check(model.SerializeToString(), "model.onnx")


@pytest.mark.parametrize(
    ("model", "schema"),
    [(graph_of_numbers(), making.SCHEMA_OF_NUMBERS), (graph_of_text(), making.SCHEMA_OF_TEXT)],
    ids=["numbers", "text"],
)
def test_a_good_graph_is_taken(model: ModelProto, schema: Schema) -> None:
    check(model, schema)
    is_sound(model)


def test_the_graph_of_text_runs() -> None:
    run = onnxruntime.InferenceSession(graph_of_text().SerializeToString()).run
    (scores,) = run(None, {"message": np.array([["free free"], ["hello"]], dtype=object)})
    assert scores.argmax(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize("domain", VERSIONS)
def test_every_operator_on_the_list_is_one(domain: str) -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == domain}
    # ONNX does not know what com.microsoft has; the graph of text above runs with it.
    assert OPERATORS[domain] <= (known or {"Tokenizer"})


def test_the_newest_versions_are_those_that_onnx_runtime_loads() -> None:
    newest = graph_of_numbers()
    newest.ir_version = IR_VERSIONS[1]
    newest.opset_import[0].version = VERSIONS[""][1]
    newest.opset_import.add(domain="ai.onnx.ml", version=VERSIONS["ai.onnx.ml"][1])
    check(newest)
    onnxruntime.InferenceSession(newest.SerializeToString())


def _function(model: ModelProto) -> None:
    made = helper.make_function("custom", "Relu2", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [])
    model.functions.append(made)


def _external(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="../../etc/passwd")


def _external_by_name_alone(model: ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="../../etc/passwd")


def _branch(model: ModelProto) -> None:
    branch = helper.make_graph([], "b", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", branch))


def _in_a_constant(model: ModelProto) -> None:
    constant = tensor("c", [1.0])
    constant.data_location = TensorProto.EXTERNAL
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=constant))


def _sparse(model: ModelProto) -> None:
    values, indices = tensor("s", [1.0]), tensor("i", [0], np.int64)
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def _training(model: ModelProto) -> None:
    model.training_info.add().algorithm.name = "sgd"


def _reference(model: ModelProto) -> None:
    model.graph.node[2].attribute[0].ref_attr_name = "axis"


def _sequence(model: ModelProto) -> None:
    model.graph.value_info.add(name="flat").type.sequence_type.elem_type.tensor_type.elem_type = 1


def _unknown(model: ModelProto) -> None:
    model.graph.node[0].MergeFromString(b"\xfa\x3f\x04evil")


def _a_type_of_numbers(model: ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="c", data_type=TensorProto.COMPLEX64, dims=[0]))


def _quantization(model: ModelProto) -> None:
    model.graph.quantization_annotation.add(tensor_name="weights")


def _devices(model: ModelProto) -> None:
    model.configuration.add(name="all", num_devices=2)


def _overload(model: ModelProto) -> None:
    model.graph.node[0].overload = "other"


def _segment(model: ModelProto) -> None:
    model.graph.initializer[0].segment.begin = 0


def _denotation(model: ModelProto) -> None:
    model.graph.input[0].type.denotation = "IMAGE"


def _settings(model: ModelProto) -> None:
    model.metadata_props.add(key="ort_config", value='{"session_options": {}}')


def _long_name(model: ModelProto) -> None:
    model.graph.node[0].name = "x" * 513


def _long_end(model: ModelProto) -> None:
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "x" * 513


def _operator(domain: str, name: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.node.append(helper.make_node(name, ["flat"], ["more"], domain=domain))
        if domain not in {each.domain for each in model.opset_import}:
            model.opset_import.add(domain=domain, version=1)

    return change


def _set(domain: str, version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.opset_import.add(domain=domain, version=version)

    return change


def _many_nodes(model: ModelProto) -> None:
    model.graph.node.extend([model.graph.node[0]] * graphs.MOST_NODES)


def _many_tensors(model: ModelProto) -> None:
    model.graph.initializer.extend([model.graph.initializer[0]] * graphs.MOST_TENSORS)


def _format(version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.ir_version = version

    return change


def _operator_set(version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.opset_import[0].version = version

    return change


STRANGE: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "functions": (_function, "holds functions; put them in line"),
    "data outside": (_external, "keeps data outside"),
    "data outside, by its name alone": (_external_by_name_alone, "keeps data outside"),
    "data outside, in a constant": (_in_a_constant, "keeps data outside"),
    "a graph in an operator": (_branch, "holds g, which is not taken"),
    "sparse weights": (_sparse, "holds sparse_initializer"),
    "training": (_training, "holds training_info"),
    "an attribute of a function": (_reference, "holds ref_attr_name"),
    "a sequence": (_sequence, "holds sequence_type"),
    "a member that nobody knows": (_unknown, "NodeProto holds members that ONNX does not know"),
    "complex numbers": (_a_type_of_numbers, "tensor 'c' has a type that is not taken"),
    "quantization": (_quantization, "holds quantization_annotation"),
    "devices": (_devices, "holds configuration"),
    "an overload": (_overload, "holds overload"),
    "a segment": (_segment, "holds segment"),
    "a denotation": (_denotation, "holds denotation"),
    "settings for the runtime": (_settings, r"holds notes \(metadata_props\)"),
    "a long name": (_long_name, "NodeProto.name is longer than 512"),
    "a long end": (_long_end, "NodeProto.output is longer than 512"),
    "a loop": (_operator("", "Loop"), "operator 'Loop' of ai.onnx is not on the list"),
    "chance": (_operator("", "Bernoulli"), "operator 'Bernoulli' of ai.onnx is not on the list"),
    "a decoder": (_operator("", "ImageDecoder"), "is not on the list"),
    "another library": (_operator("ai.onnx.contrib", "PyOp"), "operator set 'ai.onnx.contrib' is not taken"),
    "Microsoft's others": (_operator("com.microsoft", "QuickGelu"), "'QuickGelu' of com.microsoft is not on"),
    "a domain that is not imported": (
        lambda model: model.graph.node.append(
            helper.make_node("Scaler", ["flat"], ["s"], domain="ai.onnx.ml")
        ),
        "operator 'Scaler' of ai.onnx.ml is not on the list",
    ),
    "an operator set twice": (_set("ai.onnx", 20), "operator set 'ai.onnx' is not taken, or stands twice"),
    "an old operator set": (_operator_set(12), "operator set 12 of ai.onnx; take 13 to 28"),
    "a new operator set": (_operator_set(29), "operator set 29 of ai.onnx; take 13 to 28"),
    "an old format": (_format(6), "IR version 6; take 7 to 14"),
    "a new format": (_format(15), "IR version 15; take 7 to 14"),
    "many operators": (_many_nodes, "more than 20000 operators"),
    "many tensors": (_many_tensors, "or 20000 tensors"),
}


@pytest.mark.parametrize("how", STRANGE)
def test_a_graph_is_made_of_what_is_on_the_list(how: str) -> None:
    change, says = STRANGE[how]
    model = graph_of_numbers()
    change(model)
    with pytest.raises(ModelError, match=f"^model.onnx: .*{says}"):
        check(model)


def _members() -> list[tuple[str, str]]:
    """Every member of every message that ``onnx.proto`` lets a model hold, and that is not taken."""
    seen, found, waiting = set(), [], [ModelProto.DESCRIPTOR]
    while waiting:
        kind = waiting.pop()
        if kind.full_name in seen:
            continue
        seen.add(kind.full_name)
        for field in kind.fields:
            if field.name not in graphs.TAKEN[kind.name].split():
                found.append((kind.name, field.name))
            elif field.message_type is not None:
                waiting.append(field.message_type)
    return sorted(found)


def test_what_is_not_taken_is_what_is_not_taken_today() -> None:
    """Whoever takes one off this list has thought about what it lets in; a newer ONNX may add to it."""
    not_taken = {
        "AttributeProto doc_string",
        "AttributeProto g",
        "AttributeProto graphs",
        "AttributeProto ref_attr_name",
        "AttributeProto sparse_tensor",
        "AttributeProto sparse_tensors",
        "AttributeProto tp",
        "AttributeProto type_protos",
        "Dimension denotation",
        "GraphProto doc_string",
        "GraphProto metadata_props",
        "GraphProto quantization_annotation",
        "GraphProto sparse_initializer",
        "ModelProto configuration",
        "ModelProto doc_string",
        "ModelProto functions",
        "ModelProto metadata_props",
        "ModelProto training_info",
        "NodeProto device_configurations",
        "NodeProto doc_string",
        "NodeProto metadata_props",
        "NodeProto overload",
        "TensorProto doc_string",
        "TensorProto external_data",
        "TensorProto metadata_props",
        "TensorProto segment",
        "TypeProto denotation",
        "TypeProto map_type",
        "TypeProto optional_type",
        "TypeProto sequence_type",
        "TypeProto sparse_tensor_type",
        "ValueInfoProto doc_string",
        "ValueInfoProto metadata_props",
    }
    assert not_taken <= {f"{kind} {member}" for kind, member in _members()}


@pytest.mark.parametrize("member", sorted(graphs.NOTES))
@pytest.mark.parametrize(
    "bearer",
    [
        lambda model: model,
        lambda model: model.graph,
        lambda model: model.graph.node[0],
        lambda model: model.graph.input[0],
        lambda model: model.graph.initializer[0],
    ],
    ids=["model", "graph", "operator", "input", "tensor"],
)
def test_nobody_leaves_notes(member: str, bearer: Callable[[ModelProto], object]) -> None:
    model = graph_of_numbers()
    if member == "doc_string":
        bearer(model).doc_string = "x"  # type: ignore[attr-defined]
    else:
        bearer(model).metadata_props.add(key="x")  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=rf"holds notes \({member}\)"):
        check(model)


def test_an_attribute_bears_no_notes_either() -> None:
    model = graph_of_numbers()
    model.graph.node[2].attribute[0].doc_string = "x"
    with pytest.raises(ModelError, match="holds notes"):
        check(model)


# What it takes and gives


def _input(name: str, dtype: int, shape: list[str | int | None]) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info(name, dtype, shape))

    return change


def _output(name: str, dtype: int, shape: list[str | int | None]) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info(name, dtype, shape))

    return change


def _weights_as_input(model: ModelProto) -> None:
    model.graph.input.add().CopyFrom(helper.make_tensor_value_info("weights", TensorProto.FLOAT, [4, 3]))


def _logits_too(model: ModelProto) -> None:
    model.graph.output.add().CopyFrom(
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    )


FLOAT, DOUBLE, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.STRING

ENDS: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "another input": (
        _input("img", FLOAT, ["b", 2, 2]),
        r"takes 'img' \(float32\); .* 'image', float32\[batch, 2, 2\]",
    ),
    "input of doubles": (_input("image", DOUBLE, ["b", 2, 2]), "takes 'image' .* the schema says"),
    "input of text": (_input("image", STRING, ["b", 2, 2]), r"takes 'image' \(string\)"),
    "another shape": (_input("image", FLOAT, ["b", 4]), "takes 'image' of another shape"),
    "an open shape": (_input("image", FLOAT, ["b", 2, "any"]), "takes 'image' of another shape"),
    "a fixed batch": (_input("image", FLOAT, [1, 2, 2]), "takes batches of 1 only"),
    "no input": (lambda model: model.graph.ClearField("input"), "takes nothing"),
    "weights that callers may set": (_weights_as_input, "takes 'image' .*, 'weights'"),
    "another output": (_output("logits", FLOAT, ["b", 3]), "gives 'logits'"),
    "output of doubles": (_output("scores", DOUBLE, ["b", 3]), "gives 'scores'"),
    "other classes": (_output("scores", FLOAT, ["b", 4]), "gives 'scores' of another shape"),
    "a fixed batch of answers": (_output("scores", FLOAT, [2, 3]), "gives batches of 2 only"),
    "logits besides": (_logits_too, "gives 'scores' .*, 'logits'"),
    "no output": (lambda model: model.graph.ClearField("output"), "gives nothing"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_graph_takes_and_gives_what_the_schema_says(how: str) -> None:
    change, says = ENDS[how]
    model = graph_of_numbers()
    change(model)
    with pytest.raises(ModelError, match=f"^model.onnx: {says}"):
        check(model)


def test_text_comes_one_a_row() -> None:
    model = graph_of_text()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    with pytest.raises(ModelError, match=r"takes 'message' of another shape; .*string\[batch, 1\]"):
        check(model, making.SCHEMA_OF_TEXT)


# Whether it is sound


def _dangling(model: ModelProto) -> None:
    model.graph.node[0].input[0] = "nowhere"


def _twice(model: ModelProto) -> None:
    model.graph.node[1].output[0] = "flat"


def _wrong_weights(model: ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(tensor("weights", np.zeros((5, 3))))


def _short_weights(model: ModelProto) -> None:
    model.graph.initializer[0].raw_data = b"\0" * 4


def _one_answer_for_all(model: ModelProto) -> None:
    """Give one row, whatever the batch, as one that was traced with a batch of one."""
    model.graph.node[0].CopyFrom(helper.make_node("Reshape", ["image", "shape"], ["flat"]))
    model.graph.initializer.append(tensor("shape", [1, 4], np.int64))


@pytest.mark.parametrize("change", [_dangling, _twice, _wrong_weights, _short_weights, _one_answer_for_all])
def test_a_graph_is_sound(change: Callable[[ModelProto], None]) -> None:
    model = graph_of_numbers()
    change(model)
    check(model)
    with pytest.raises(ModelError, match=r"^model.onnx: is not a sound graph: "):
        is_sound(model)


@pytest.mark.parametrize("by", ["constant", "batch"])
def test_a_result_that_would_fill_the_memory_is_refused(by: str) -> None:
    """What one small operator makes would be 4 TiB; when it depends on the batch, it is worked out for one."""
    model = graph_of_numbers()
    if by == "constant":
        nodes = [helper.make_node("ConstantOfShape", ["sides"], ["big"])]
        model.graph.initializer.append(tensor("sides", [2**20, 2**20], np.int64))
    else:
        nodes = [
            helper.make_node("Shape", ["logits"], ["shape"]),
            helper.make_node("Mul", ["shape", "sides"], ["more"]),
            helper.make_node("ConstantOfShape", ["more"], ["big"]),
        ]
        model.graph.initializer.append(tensor("sides", [2**20, 2**20], np.int64))
    nodes += [
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("Add", ["logits", "sum"], ["shifted"]),
    ]
    model.graph.node[2].input[0] = "shifted"
    for at, node in enumerate(nodes):
        model.graph.node.insert(2 + at, node)
    with pytest.raises(ModelError, match="'big' would hold more than 67108864 values"):
        is_sound(model)


def test_large_inputs_do_not_count_as_a_bomb() -> None:
    side = 512
    is_sound(
        making.model(
            [
                helper.make_node("GlobalAveragePool", ["image"], ["m"]),
                helper.make_node("Flatten", ["m"], ["scores"]),
            ],
            [helper.make_tensor_value_info("image", FLOAT, ["n", 4, side, side])],
            [helper.make_tensor_value_info("scores", FLOAT, ["n", 4])],
            [],
        )
    )


def _deadly() -> ModelProto:
    """A pool wider than its image, then a slice of what is less than nothing: onnx ends the process."""
    return making.model(
        [
            helper.make_node("MaxPool", ["image"], ["pooled"], kernel_shape=[127, 2]),
            helper.make_node("Slice", ["pooled", "start", "end", "axis"], ["sliced"]),
            helper.make_node("Reshape", ["sliced", "shape"], ["scores"]),
        ],
        [helper.make_tensor_value_info("image", FLOAT, ["batch", 1, 2, 2])],
        [helper.make_tensor_value_info("scores", FLOAT, ["batch", 3])],
        [
            tensor("start", [0], np.int64),
            tensor("end", [30], np.int64),
            tensor("axis", [2], np.int64),
            tensor("shape", [-1, 3], np.int64),
        ],
    )


def test_a_graph_that_kills_the_checker_is_refused_and_kills_nothing_else() -> None:
    with pytest.raises(ModelError, match="the checker does not survive it"):
        is_sound(_deadly())


def test_a_graph_that_takes_for_ever_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "LONGEST_SECONDS", 0.001)
    with pytest.raises(ModelError, match="checking it takes longer than"):
        is_sound(graph_of_numbers())


def test_a_checker_that_cannot_run_is_not_the_fault_of_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "checker.py").write_text("import nothing_of_that_name")
    monkeypatch.setattr(soundness, "CHECKER", tmp_path / "checker.py")
    with pytest.raises(Unreadable, match="the checker does not run on this machine"):
        is_sound(graph_of_numbers())
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(Unreadable, match="the checker cannot be started"):
        is_sound(graph_of_numbers())


def test_the_checker_knows_no_secrets_and_cannot_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It runs as if a graph had taken it over: what would it find?"""
    written = str(tmp_path / "written")
    search = f"""
    import os, resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    found = sorted(set(os.environ) - {{"PYTHONPATH", "OPENBLAS_NUM_THREADS", "LC_CTYPE"}})
    try:
        os.write(os.open({written!r}, os.O_WRONLY | os.O_CREAT), b"x")
        found.append("a file was written")
    except OSError:
        pass
    try:
        bytearray(2**33)
        found.append("8 GiB of memory")
    except MemoryError:
        pass
    found += [str(resource.getrlimit(each)[0]) for each in (resource.RLIMIT_CORE, resource.RLIMIT_CPU)]
    return {{"fault": " ".join(found), "largest": None, "values": 0}}
    try:
        model"""
    program = soundness.CHECKER.read_text()
    assert program.count("    try:\n        model") == 1
    (tmp_path / "checker.py").write_text(program.replace("    try:\n        model", search))
    monkeypatch.setattr(soundness, "CHECKER", tmp_path / "checker.py")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_CORE, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    with pytest.raises(ModelError, match=r"^model.onnx: is not a sound graph: 0 60$"):
        is_sound(graph_of_numbers())


@pytest.mark.parametrize(
    "data", [b"", b"\x08", b"\x80\x04N.", b"PK\x03\x04", b"\x7fELF", b"\x89HDF\r\n\x1a\n", b"\x08\xff" * 9]
)
def test_what_is_not_onnx_is_not_taken_for_it(data: bytes) -> None:
    for refuse in (lambda: graphs.check(data, making.SCHEMA_OF_NUMBERS, "m"), lambda: graphs.bare(data, "m")):
        with pytest.raises(ModelError, match=r"^m: "):
            refuse()
