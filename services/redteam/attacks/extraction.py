"""Extraction: how well a copy agrees that was trained on a budget of answers (Correia-Silva et al., "Copycat CNN", IJCNN 2018).

Two thieves: one has inputs like the owner's and no labels, the other has nothing and asks about noise. The former nearly
always gets far (a task that is easy to learn is easy to copy), which is why the gateway's budget and what it gives away
are part of the question, and why agreement on noise is asked for beside it.
"""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from services.redteam import findings
from services.redteam.copying import copied
from services.redteam.data import Part
from services.redteam.findings import Array, Result
from services.redteam.subject import TensorModel, TextModel
from services.redteam.thresholds import Extraction, TensorExtraction

THIEVES = 10
"""Who ask about noise, each for themselves. One may be lucky (0.49 to 0.76 of one and the same model of digits), but without
data nobody can tell which copy is the lucky one: what a thief may expect is the mean."""


def attack(
    model: TensorModel, examples: Part, others: Part, asked: TensorExtraction, chance: np.random.Generator
) -> Result:
    """Copy the model with ``others``, the thief's own inputs, and with noise; ask copies and model about ``examples``."""
    own = others.sample(asked.queries, chance).inputs
    given = model.labels(examples.inputs)

    def agreement(queries: Array) -> float:
        copy = copied(model, queries, _given(model.answers(queries), asked))
        return float((_labels_of(copy, examples.inputs) == given).mean())

    def noise() -> Array:
        drawn = chance.uniform(model.range.low, model.range.high, (asked.queries, *model.shape))
        return drawn.astype(np.float32)

    return Result(
        measured=(
            findings.at_most(
                "extraction-agreement", agreement(own), asked.most_agreement, _about(asked, len(own))
            ),
            findings.at_most(
                "extraction-agreement-without-data",
                float(np.mean([agreement(noise()) for _ in range(THIEVES)])),
                asked.most_agreement_without_data,
                f"{_about(asked, asked.queries)}; mean of {THIEVES} thieves",
            ),
        )
    )


def attack_text(
    model: TextModel, examples: Part, others: Part, asked: Extraction, chance: np.random.Generator
) -> Result:
    """The same with texts, which a thief finds everywhere."""
    own = others.sample(asked.queries, chance).inputs
    answers = model.answers(own).argmax(axis=1)
    given = model.answers(examples.inputs).argmax(axis=1)
    if len(np.unique(answers)) < 2:
        # All answers the same: the best copy is that answer.
        agreed = float((given == answers[0]).mean())
    else:
        words = TfidfVectorizer(ngram_range=(1, 2))
        copy = LogisticRegression(C=10.0, max_iter=500).fit(words.fit_transform(own), answers)
        agreed = float((copy.predict(words.transform(examples.inputs)) == given).mean())
    return Result(
        measured=(
            findings.at_most("extraction-agreement", agreed, asked.most_agreement, _about(asked, len(own))),
        )
    )


def _given(answers: Array, asked: Extraction) -> Array:
    return answers if asked.answers == "scores" else np.eye(answers.shape[1])[answers.argmax(axis=1)]


def _labels_of(copy: object, inputs: Array) -> Array:
    import torch

    with torch.no_grad():
        found: Array = copy(torch.from_numpy(inputs)).argmax(1).numpy()  # type: ignore[operator]
    return found


def _about(asked: Extraction, queries: int) -> str:
    return f"{queries} queries, answered with {asked.answers}"
