"""What a model's folder says of itself: what goes in, what comes out, and what the screens were calibrated to.

A candidate is a folder ``model/`` and the trainer's signature over it; a release adds the red team's verdict and its
signature::

    candidate/                         release/
      model/                             model/       the same, to the byte
        model.onnx                       model.sig
        schema.json                      verdict/
        statistics.json                    verdict.json
        statistics.safetensors           verdict.sig
        card.json
        privacy.json
        weights.safetensors   (for the red team's gradients)
      model.sig
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MODEL, MODEL_SIGNATURE = "model", "model.sig"
VERDICT, VERDICT_SIGNATURE = "verdict", "verdict.sig"
"""Names inside a candidate or release."""

GRAPH, SCHEMA, WEIGHTS = "model.onnx", "schema.json", "weights.safetensors"
STATISTICS, ARRAYS = "statistics.json", "statistics.safetensors"
CARD, PRIVACY, VERDICT_FILE = "card.json", "privacy.json", "verdict.json"
"""Names inside ``model/`` and ``verdict/``."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorInput(_Said):
    """Numbers of one shape, each within a range; the graph takes ``float32[batch, *shape]``."""

    kind: Literal["tensor"] = "tensor"
    name: Label
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=4)]
    """Of one example, without the batch."""
    low: float
    high: float

    @model_validator(mode="after")
    def _bounded(self) -> TensorInput:
        size = 1
        for side in self.shape:
            size *= side
        if size > MOST_VALUES:
            raise ValueError(f"shape: holds {size} values; {MOST_VALUES} at most")
        if self.low >= self.high:
            raise ValueError(f"low: {self.low} is not below high, {self.high}")
        return self


class TextInput(_Said):
    """A text, with images if asked; the graph takes ``string[batch, 1]``, normalised by the text screen."""

    kind: Literal["text"] = "text"
    name: Label
    most_characters: Annotated[int, Field(ge=1, le=100_000)] = 4000
    most_images: Annotated[int, Field(ge=0, le=8)] = 0
    """Images that may come with it; what is written in them is read and classified too."""


MOST_VALUES = 2**20
"""Of one example."""


class Output(_Said):
    """Probabilities: the graph gives ``float32[batch, len(classes)]``, each row summing to one."""

    name: Label
    classes: Annotated[tuple[Label, ...], Field(min_length=2, max_length=1000)]

    @model_validator(mode="after")
    def _told_apart(self) -> Output:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: two have one name")
        return self


class Schema(_Said):
    """``schema.json``: what the model is called, and what it takes and gives."""

    format: Literal[1] = 1
    name: Name
    version: Annotated[int, Field(ge=1, lt=2**53)]
    """Grows with every release; an older one is never served again. To go back, release old weights anew."""
    input: Annotated[TensorInput | TextInput, Field(discriminator="kind")]
    output: Output
    architecture: Name | None = None
    """Which network ``weights.safetensors`` belongs to, for whoever needs gradients."""


class Calibrated(_Said):
    """A screen's threshold, and how often it refuses clean inputs at that."""

    threshold: float
    false_positive_rate: Annotated[float, Field(gt=0, le=0.2)]
    """On held-out clean inputs."""


class BitDepth(_Said):
    """Colour depth reduced to so many bits (Xu, Evans and Qi, "Feature Squeezing", NDSS 2018, section 3.1)."""

    kind: Literal["bit-depth"] = "bit-depth"
    bits: Annotated[int, Field(ge=1, le=7)]


class Median(_Said):
    """A median filter with a window of so many pixels (the same, section 3.2)."""

    kind: Literal["median"] = "median"
    window: Annotated[int, Field(ge=2, le=7)]


class NonLocalMeans(_Said):
    """Patches replaced by the mean of similar ones (the same, section 3.2): search window, patch, strength."""

    kind: Literal["non-local-means"] = "non-local-means"
    search: Annotated[int, Field(ge=3, le=21)]
    patch: Annotated[int, Field(ge=1, le=7)]
    strength: Annotated[float, Field(gt=0, le=100)]
    """On a scale of 0 to 255."""


Squeezer = Annotated[BitDepth | Median | NonLocalMeans, Field(discriminator="kind")]


class Squeezing(Calibrated):
    """Feature squeezing: the largest L1 distance between the answers to an input and to its squeezed selves."""

    squeezers: Annotated[tuple[Squeezer, ...], Field(min_length=1, max_length=6)]


class Statistics(_Said):
    """``statistics.json``: what the screens learnt from the training data; arrays lie in ``statistics.safetensors``.

    Arrays of a tensor model, for the novelty screen: ``mean`` [values], ``whitening`` [values, components],
    ``residual`` [1], the variance in each direction that no component has.
    """

    examples: Annotated[int, Field(ge=1)]
    """Training examples that the statistics come from."""
    novelty: Calibrated | None = None
    """Distance from the training data (Mahalanobis), for tensor models."""
    squeezing: Squeezing | None = None
    """For models of images."""


class Privacy(_Said):
    """``privacy.json``: what training revealed of one person, or why nothing needed to be bounded."""

    epsilon: Annotated[float, Field(gt=0)] | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    accountant: Label | None = None
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    noise_multiplier: Annotated[float, Field(gt=0)] | None = None
    noise_generator: Annotated[str, StringConstraints(max_length=200)] | None = None
    """Which generator made the noise, and whether it is cryptographic."""
    reason_for_none: Annotated[str, StringConstraints(min_length=10, max_length=500)] | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Privacy:
        if (self.epsilon is None) == (self.reason_for_none is None):
            raise ValueError("epsilon: state it, or a reason_for_none, and not both")
        if self.epsilon is not None and (self.delta is None or self.accountant is None):
            raise ValueError("delta: state it and the accountant, where epsilon is stated")
        return self


class Card(_Said):
    """``card.json``: the model card (Mitchell et al., "Model Cards for Model Reporting", 2019), in short."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    intended_use: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    limits: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    dataset: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dataset_digest: Digest | None = None
    """Of the signed manifest of what it was trained on."""
    purpose: Annotated[str, StringConstraints(max_length=64)] | None = None
    trained_at: AwareDatetime
    seed: int | None = None
    figures: Annotated[dict[Label, float], Field(max_length=64)] = {}
    """What was measured: accuracy and others, by name."""
    components: Annotated[dict[Label, Label], Field(max_length=256)] = {}
    """Libraries and their versions that made it: its bill of materials."""


class Check(_Said):
    """One thing that the red team measured, against its threshold."""

    name: Label
    value: float
    threshold: float
    passed: bool
    about: Annotated[str, StringConstraints(max_length=500)] = ""


class Verdict(_Said):
    """``verdict.json``: what the red team found, about one model to the byte, and until when it holds."""

    format: Literal[1] = 1
    model: Name
    version: Annotated[int, Field(ge=1, lt=2**53)]
    model_digest: Digest
    """Of the folder ``model/``, as ``modelchain inspect`` prints it."""
    passed: bool
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=200)]
    judged_at: AwareDatetime
    holds_until: AwareDatetime
    """A verdict ages as attacks get better: afterwards the model has to be judged anew."""
    thresholds_digest: Digest
    """Of the file of thresholds."""

    @model_validator(mode="after")
    def _consistent(self) -> Verdict:
        if self.passed != all(check.passed for check in self.checks):
            raise ValueError("passed: does not follow from the checks")
        if self.holds_until <= self.judged_at:
            raise ValueError("holds_until: is not after judged_at")
        return self
