"""What a federation agrees to before it begins: one text, the same at the server and at every silo.

The operator submits it, each silo holds its own copy of what it agreed to (``silo-terms``) and answers no other. What is
agreed holds every protection, so nobody can take one off alone; combinations that contradict each other are refused here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.federated.errors import FederatedError

Model = Literal["softmax", "mlp"]
Aggregation = Literal["mean", "median", "trimmed-mean", "krum", "multi-krum"]
Protection = Literal["clear", "secure-aggregation", "homomorphic"]

MOST_SILOS = 500
"""The sum of so many quantised updates is below the modulus of secure aggregation: 500 · 2^22 < 2^32."""

FEWEST_ADDED = 2
"""Updates in a sum: whoever learns the sum of one learns the one."""

MOST_ENCRYPTED = 4096
"""Values in a ciphertext of CKKS with polynomials of degree 8192."""

MOST_TEXT = 16_384
"""Characters of settings."""


class _Agreed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Privacy(_Agreed):
    """Differential privacy, by Gaussian noise on what was cut to a norm.

    ``of`` says whom it hides: a ``record`` (one person's row), or a whole ``silo``. ``mode`` says from whom:

    - ``central``: from everybody who sees the model. The noise is on the sum. Under secure aggregation or homomorphic
      encryption each silo adds its part; in clear the server adds all of it, and is trusted with single updates.
    - ``local``: from the server too. Each silo adds to its own update all the noise that hides it.
    """

    mode: Literal["central", "local"]
    of: Literal["record", "silo"]
    epsilon: Annotated[float, Field(gt=0, le=100)]
    """The budget: a round that would exceed it does not begin."""
    delta: Annotated[float, Field(gt=0, lt=0.01)]
    noise_multiplier: Annotated[float, Field(gt=0, le=1000)]
    """Standard deviation of the noise, in the norm that was cut to."""
    record_norm: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """L2 norm that each row's gradient is cut to, for ``record``; for ``silo`` it is ``update_norm``."""
    sample_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Chance of each row to take part in a step, whatever the others do, for ``record``."""
    rows: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Rows that all silos have together, about, for ``record``: how many one silo has stays its own."""

    @model_validator(mode="after")
    def _said(self) -> Privacy:
        if self.of == "record" and self.rows is None:
            raise ValueError("rows: say about how many rows all silos have together")
        return self


class Settings(_Agreed):
    """A federation's terms."""

    model: Model = "softmax"
    inputs: Annotated[int, Field(ge=1, le=4096)] = 64
    """Values of a row."""
    classes: Annotated[int, Field(ge=2, le=1000)] = 10
    held_out: Literal["digits"] | None = "digits"
    """What the server tells the model's quality by, which is no silo's; silos say nothing about theirs."""
    rounds: Annotated[int, Field(ge=1, le=10_000)]
    silos: Annotated[int, Field(ge=2, le=MOST_SILOS)]
    threshold: Annotated[int, Field(ge=FEWEST_ADDED, le=MOST_SILOS)]
    """Silos that must answer; a round with fewer fails. Under secure aggregation, also the shares that open a mask."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 1.0
    local_steps: Annotated[int, Field(ge=1, le=1000)] = 1
    """Of gradient descent in a silo between two rounds."""
    update_norm: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """L2 norm that no silo's update may exceed, in every mode (before noise, where there is noise)."""
    aggregation: Aggregation = "mean"
    poisoned: Annotated[int, Field(ge=0, le=MOST_SILOS)] = 0
    """Silos that may lie without harm, where the aggregation is a robust one."""
    protection: Protection
    privacy: Privacy | None = None
    seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """How long the server waits for answers, in each step of a round."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the first parameters; never of noise, masks or samples."""

    @property
    def robust(self) -> bool:
        """Whether single updates are compared with each other."""
        return self.aggregation != "mean"

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        for refused, sentence in self._contradictions():
            if refused:
                raise ValueError(sentence)
        return self

    def _contradictions(self) -> list[tuple[bool, str]]:
        """Return every combination that is refused, whether it is this one, and why, in one sentence."""
        privacy = self.privacy
        shielded = self.protection != "clear"
        central = privacy is not None and privacy.mode == "central"
        record = privacy is not None and privacy.of == "record"
        return [
            (
                self.threshold > self.silos,
                f"threshold: {self.threshold} silos cannot answer, since there are {self.silos}; "
                "take a threshold of as many silos at most",
            ),
            (
                shielded and 2 * self.threshold <= self.silos,
                f"threshold: {self.threshold} of {self.silos} silos are no majority, so two halves could be added up "
                "apart and subtracted; take more than half of the silos",
            ),
            (
                self.protection == "secure-aggregation" and self.silos < 3,
                "silos: of two, each can subtract itself from the sum and read the other; secure aggregation takes "
                "three or more",
            ),
            (
                self.protection == "secure-aggregation" and self.robust,
                f"aggregation: {self.aggregation} compares single updates, which secure aggregation shows to nobody; "
                "take mean, or protection clear",
            ),
            (
                self.protection == "homomorphic" and self.robust,
                f"aggregation: {self.aggregation} compares single updates, which homomorphic encryption shows to "
                "nobody; take mean, or protection clear",
            ),
            (
                self.protection == "homomorphic" and self.model != "softmax",
                f"model: {self.model} is not linear in its parameters; homomorphic encryption is for softmax",
            ),
            (
                self.robust and central,
                f"privacy.mode: the noise of central is for a mean, and {self.aggregation} reveals more of one "
                "silo; take local, or aggregation mean",
            ),
            (
                self.robust and self.poisoned < 1,
                f"poisoned: say how many silos {self.aggregation} has to withstand, 1 or more",
            ),
            (
                not self.robust and self.poisoned > 0,
                "poisoned: a mean withstands none; take median, trimmed-mean, krum or multi-krum",
            ),
            (
                self.aggregation in ("median", "trimmed-mean") and 2 * self.poisoned >= self.threshold,
                f"poisoned: {self.poisoned} of {self.threshold} answers are half or more, which {self.aggregation} "
                "does not withstand; take fewer, or a higher threshold",
            ),
            (
                self.aggregation in ("krum", "multi-krum") and self.threshold < 2 * self.poisoned + 3,
                f"poisoned: {self.aggregation} withstands {self.poisoned} only among {2 * self.poisoned + 3} answers "
                "or more (Blanchard et al., 2017); take a higher threshold",
            ),
            (
                self.held_out == "digits" and (self.inputs, self.classes) != (64, 10),
                f"held_out: digits have 64 values and 10 classes, not {self.inputs} and {self.classes}; write null",
            ),
            (
                self.protection == "homomorphic" and self.classes * (self.inputs + 1) > MOST_ENCRYPTED,
                f"inputs: {self.classes * (self.inputs + 1)} parameters do not fit into a ciphertext of "
                f"{MOST_ENCRYPTED}; take fewer, or secure aggregation",
            ),
            (
                central and record and self.local_steps > 1,
                "local_steps: with central privacy of records the noise is on one step's sum; take 1, or privacy.mode "
                "local",
            ),
        ]


def read(text: str) -> Settings:
    """Return the settings in a JSON text.

    Raises:
        FederatedError: one sentence that names the key and says what to write instead.
    """
    if len(text) > MOST_TEXT:
        raise FederatedError(f"settings: are longer than {MOST_TEXT} characters")
    try:
        return Settings.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        separator = "." if first["type"] == "value_error" else ": "
        raise FederatedError(f"settings{'.' + where if where else ''}{separator}{said}") from None
