"""Messages, spam or ham: frequencies of words and of pieces of words, and a logistic regression over them.

The text is put right first, in training as in the gateway. The graph holds all of it, from the string to probabilities.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union

from services.gateway.samples.judged import Sample, at_least, components
from services.modelchain.schema import Card, Output, Privacy, Schema, Statistics, TextInput
from services.screens.text import normalised

Array = np.ndarray[Any, np.dtype[Any]]
Predict = Callable[[Sequence[str]], Array]

FILE = Path(__file__).with_name("messages.csv")
ALTERED = Path(__file__).with_name("altered.json")
"""Each held-out message of spam after one of the red team's tricks, by turns (a test makes them again)."""
INPUT, OUTPUT = "text", "probabilities"
CLASSES = ("ham", "spam")
SPAM = CLASSES.index("spam")
MOST_CHARACTERS, MOST_IMAGES = 4000, 3

TOKENS = "[a-zA-Z0-9]+"
STRENGTH = 10.0
"""Inverse of the regularisation."""
ANYWHERE = "C"
"""The one locale that every system has; it lowers A to Z alone, and tokens have no other letters."""


class Message(NamedTuple):
    """A line of ``messages.csv``."""

    split: str
    label: str
    language: str
    text: str


def messages() -> list[Message]:
    """Return all messages."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return [Message(**row) for row in csv.DictReader(file)]


def trained(on: Sequence[Message], *, words_alone: bool = False) -> Pipeline:
    """Return the classifier.

    Args:
        on: What trains.
        words_alone: Whether to leave out pairs and pieces of words: what most filters that one reads about are.
    """
    terms = TfidfVectorizer(token_pattern=TOKENS, ngram_range=(1, 1 if words_alone else 2))
    pieces = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=3)
    features = terms if words_alone else make_union(terms, pieces)
    model = make_pipeline(
        features, LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000, random_state=0)
    )
    return model.fit([normalised(each.text).text for each in on], [each.label for each in on])


def graph(model: Pipeline) -> bytes:
    """Return the ONNX graph: ``string[batch, 1]`` to ``float32[batch, 2]``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = to_onnx(
            model,
            initial_types=[(INPUT, StringTensorType([None, 1]))],
            options={id(model[-1]): {"zipmap": False}},
            target_opset={"": 18, "ai.onnx.ml": 1},
        )
        alone = select_model_inputs_outputs(converted, outputs=[OUTPUT])
    for node in alone.graph.node:
        if node.op_type == "StringNormalizer":
            node.attribute.append(onnx.helper.make_attribute("locale", ANYWHERE))
    gives = onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["batch", len(CLASSES)])
    alone.graph.output[0].CopyFrom(gives)
    return bytes(alone.SerializeToString())


def predictor(data: bytes) -> Predict:
    """Return probabilities float32[n, 2] of texts, by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda texts: np.asarray(
        session.run([OUTPUT], {INPUT: np.array([[text] for text in texts], dtype=object)})[0]
    )


def caught(predict: Predict, texts: Sequence[str]) -> float:
    """Return the share of texts that are called spam."""
    return float((predict(texts).argmax(axis=1) == SPAM).mean())


def made(version: int) -> Sample:
    """Train and judge."""
    every = messages()
    trains, judges = ([each for each in every if each.split == split] for split in ("train", "test"))
    data = graph(trained(trains))
    predict = predictor(data)
    texts = [normalised(each.text).text for each in judges]
    right = predict(texts).argmax(axis=1) == np.array([CLASSES.index(each.label) for each in judges])
    spam = [each.text for each in judges if each.label == "spam"]
    checks = [
        at_least("accuracy", float(right.mean()), f"{len(judges)} messages"),
        at_least("recall", caught(predict, [normalised(text).text for text in spam]), f"{len(spam)} of spam"),
    ]
    sent = [each["text"] for each in json.loads(ALTERED.read_text())]
    recall = caught(predict, [normalised(text).text for text in sent])
    checks.append(at_least("recall-altered", recall, "the same, each after one of eight tricks, put right"))
    return Sample(
        written={
            "graph": data,
            "schema": Schema(
                name="spam",
                version=version,
                input=TextInput(name=INPUT, most_characters=MOST_CHARACTERS, most_images=MOST_IMAGES),
                output=Output(name=OUTPUT, classes=CLASSES),
            ),
            "statistics": Statistics(examples=len(trains)),
            "arrays": {},
            "card": Card(
                title="Spam in short messages",
                intended_use="To try the gateway with.",
                limits="Learnt from 424 made-up messages; knows English spam alone.",
                dataset="messages.csv, beside its code",
                trained_at=datetime.now(UTC),
                seed=0,
                figures={check.name: check.value for check in checks},
                components=components("scikit-learn", "numpy", "skl2onnx", "onnx"),
            ),
            "privacy": Privacy(reason_for_none="Every message was made up; none is about anybody."),
            "weights": None,
        },
        checks=tuple(checks),
    )
