"""Clean accuracy: a model that is wrong by itself needs no attacker."""

from __future__ import annotations

from services.redteam import findings
from services.redteam.data import Examples, Part
from services.redteam.findings import Result
from services.redteam.subject import TensorModel, TextModel
from services.redteam.thresholds import Clean


def attack(model: TensorModel | TextModel, examples: Examples, asked: Clean) -> Result:
    """Measure accuracy on held-out examples, and beside it on those that were trained on."""
    held_out, members = (_accuracy(model, part) for part in (examples.held_out, examples.members))
    about = f"on {len(examples.held_out)} held-out examples; {findings.percent(members)} on its training data"
    return Result(measured=(findings.at_least("clean-accuracy", held_out, asked.least_accuracy, about),))


def _accuracy(model: TensorModel | TextModel, part: Part) -> float:
    return findings.accuracy(model.answers(part.inputs), part.labels)
