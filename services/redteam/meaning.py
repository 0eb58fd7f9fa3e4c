"""What each check says, in a sentence for who has to decide."""

from __future__ import annotations

from services.modelchain.schema import Check

MEANINGS = {
    "clean-accuracy": "Held-out examples that are answered rightly.",
    "pgd-accuracy-at": "Examples still answered rightly when each value is changed by at most that share of its range.",
    "pgd-accuracy-unbounded": "Examples still answered rightly when all may become grey: an attack that fails here is broken.",
    "autoattack-accuracy-at": "Examples still answered rightly under several attacks that tune themselves.",
    "gradient-free-lead": "How much further attacks get without gradients than with them.",
    "trigger-area": "How much of an image the smallest trigger covers.",
    "trigger-ratio": "How many times larger the median class's trigger is than the smallest.",
    "faint-trigger-at": "Examples of other classes that one faint pattern turns into one class.",
    "trigger-word": "Messages of other classes that one word turns into one class.",
    "evasion-accuracy": "Messages still recognised when they are disguised by that trick.",
    "membership-auc": "How well members are told from others on average; 0.5 is guessing.",
    "membership-tpr-at": "Members that are named while that share of others is named wrongly.",
    "membership-loss-auc": "How well members are told from others by the loss alone, which anybody can measure.",
    "inversion-likeness-to-means": "How like its class's mean the picture is that the model gives away, from -1 to 1.",
    "inversion-lead-to-records": "How much nearer that picture is to a training record than to any other.",
    "extraction-agreement": "How often a copy answers as the model does, made by a thief who has inputs like the owner's.",
    "extraction-agreement-without-data": "How often it does, made by a thief who has nothing but noise to ask about.",
}
"""By the beginning of a check's name; the longest that fits counts."""


def of(check: Check) -> str:
    """Return what a check says."""
    fitting = [name for name in MEANINGS if check.name.startswith(name)]
    return MEANINGS[max(fitting, key=len)] if fitting else ""


def shown(check: Check) -> tuple[str, str]:
    """Return value and threshold as people read them."""
    whole = any(word in check.name for word in ("auc", "ratio", "likeness", "lead-to"))
    return tuple(
        f"{value:.2f}" if whole else f"{100 * value:.1f}%" for value in (check.value, check.threshold)
    )  # type: ignore[return-value]
