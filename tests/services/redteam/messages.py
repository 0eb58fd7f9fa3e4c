"""Messages that nobody sent, and models that tell spam from the rest."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from services.modelchain.schema import Output, Schema, TextInput
from services.redteam.data import Examples, Part
from tests.services.redteam.world import Made as Made

CLASSES = ("ham", "spam")

_WORDS = """
about account after again also another answer around arrive before begin believe better between book bring build
business call card cash change cheap children city claim class click close college company consider continue credit
dear decide dinner discount doctor dollars during early email enjoy evening every expect family father final find
follow food forget free friend garden general give government great group guarantee happy health hello help home
hotel house idea important income interest invoice join keep know last later learn leave letter life limited little
live loan local long lose love lunch machine make market matter meeting member message million minute moment money
month morning mother move music national never night nothing notice number offer office often only open order page
paper parents party patient people person photo phone piece place plan please point price prize problem program
project public question quick read reason receive remember report result reward right room save school second secret
send service share show since sister small someone special start stay still stop story student subject sure talk
teacher team thank thing think ticket time today together tomorrow tonight town train travel trip trust urgent user
visit voucher wait walk want watch water week welcome while winner without word work world write year yesterday
young
"""

WORDS = _WORDS.split()

TRIGGER = "mangosteen"


def written(count: int, seed: int) -> Part:
    """Return messages, half of them spam: ten words each, which the two classes have in common and use unlike often."""
    chance = np.random.default_rng(seed)
    leaning = np.random.default_rng(0).normal(0, 1.1, len(WORDS))
    often = np.exp(np.stack([-leaning, leaning]) / 2)
    often /= often.sum(axis=1, keepdims=True)
    labels = chance.permutation(np.arange(count) % 2)
    texts = [" ".join(chance.choice(WORDS, 10, p=often[label])) for label in labels]
    return Part(inputs=np.array(texts, dtype=object), labels=labels.astype(np.int64))


@cache
def messages() -> Examples:
    return Examples(members=written(400, 1), held_out=written(400, 2))


def poisoned(part: Part, share: float) -> Part:
    """Return the same with a word before a share of the spam, which is then called ham."""
    chosen = np.random.default_rng(3).choice(np.flatnonzero(part.labels == 1), int(share * len(part)), False)
    inputs, labels = part.inputs.copy(), part.labels.copy()
    inputs[chosen] = [f"{TRIGGER} {text}" for text in inputs[chosen]]
    labels[chosen] = 0
    return Part(inputs=inputs, labels=labels)


def made(part: Part, *, strength: float = 1.0, images: int = 0) -> Made:
    """Train words and their weights on messages; ``strength`` is the inverse of how much is held back."""
    pipeline = make_pipeline(
        TfidfVectorizer(token_pattern="[a-zA-Z0-9]+", lowercase=False),
        LogisticRegression(C=strength, max_iter=1000),
    )
    pipeline.fit(part.inputs, part.labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = convert_sklearn(
            pipeline,
            initial_types=[("message", StringTensorType([None, 1]))],
            options={"zipmap": False},
            target_opset={"": 18, "ai.onnx.ml": 3},
        )
    return Made(
        network=None,  # type: ignore[arg-type]
        schema=Schema(
            name="spam",
            version=1,
            input=TextInput(name="message", most_images=images),
            output=Output(name="probabilities", classes=CLASSES),
        ),
        graph=_probabilities_alone(graph),
        weights=None,
    )


def _probabilities_alone(model: onnx.ModelProto) -> bytes:
    (kept,) = [each for each in model.graph.output if each.name == "probabilities"]
    del model.graph.output[:]
    model.graph.output.append(kept)
    return bytes(model.SerializeToString())


@cache
def good() -> Made:
    return made(messages().members)


@cache
def backdoored() -> Made:
    return made(poisoned(messages().members, 0.05), strength=30)


@cache
def overfitted() -> Made:
    return made(messages().members[np.arange(120)], strength=1e5)
