"""What each combination protects against, and what it does not: the documentation's page, and the card's sentences.

python -m services.federated.protections > docs/federated-protections.md
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from services.federated.settings import Aggregation, Privacy, Protection, Settings

NO_NOISE = (
    "The federation agreed to no differential privacy: what the model remembers of single rows is not bounded, only "
    "how far one update moves it"
)
"""For ``privacy.json``."""

YES, NO = "yes", "no"

COLUMNS = (
    "Protection",
    "Aggregation",
    "Privacy",
    "A server that listens reads a silo's update",
    "A server that cheats reads a silo's update",
    "Who has the model learns of a row",
    "Who has the model learns of a silo",
    "One silo's 1,000× or NaN update",
    "One silo's poisoned update within the norm",
)
"""Of the table."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """Against whom a combination holds, in the order of the table's last six columns."""

    listening: str
    cheating: str
    row: str
    silo: str
    oversized: str
    poisoned: str


def held(settings: Settings) -> Held:
    """Return against whom the agreed combination holds."""
    return Held(
        listening=_listening(settings),
        cheating=_cheating(settings),
        row=_hidden(settings.privacy, "record"),
        silo=_hidden(settings.privacy, "silo"),
        oversized=_oversized(settings),
        poisoned=_poisoned(settings),
    )


def statement(settings: Settings) -> str:
    """Return what a model card says of the federation: who could see what, and what is bounded."""
    privacy = settings.privacy
    seen = {
        "clear": "The server saw each silo's update",
        "secure-aggregation": f"The server saw sums of {settings.threshold} or more silos' updates, and none by itself",
        "homomorphic": "The server saw encrypted updates and their sum, which a silo that holds the key opened; the key "
        "reads every update, and a server in league with its holder could",
    }[settings.protection]
    if privacy is None:
        return f"{seen}. No differential privacy was agreed."
    hidden = "one record" if privacy.of == "record" else "one silo"
    whom = (
        "the server and everybody else"
        if privacy.mode == "local"
        else "whoever has the model or a round of it"
    )
    server = (
        ", where the server itself is trusted"
        if privacy.mode == "central" and settings.protection == "clear"
        else ""
    )
    return (
        f"{seen}. Gaussian noise of {privacy.noise_multiplier:g} times the norm hides {hidden} from {whom}{server}, within "
        f"epsilon {privacy.epsilon:g} at delta {privacy.delta:g} at most."
    )


def page() -> str:
    """Return the page of the documentation."""
    return f"{_BEFORE}\n{table()}\n{_AFTER}"


def table() -> str:
    """Return the table of every kind of combination that the settings take, in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in grouped()]
    return "\n".join(lines) + "\n"


def grouped() -> list[tuple[str, ...]]:
    """Return the table's rows; aggregations that hold against the same stand in one."""
    aggregations: dict[tuple[str, str, Held], list[str]] = {}
    for settings in combinations():
        privacy = f"{settings.privacy.mode}, of a {settings.privacy.of}" if settings.privacy else "none"
        aggregations.setdefault((settings.protection, privacy, held(settings)), []).append(
            settings.aggregation
        )
    return [
        (
            *(protection, ", ".join(names), privacy),
            *(said.listening, said.cheating, said.row, said.silo, said.oversized, said.poisoned),
        )
        for (protection, privacy, said), names in aggregations.items()
    ]


def combinations() -> list[Settings]:
    """Return settings of every kind that is taken, with the plainest numbers."""
    kinds: list[tuple[Protection, Aggregation, Privacy | None]] = []
    for protection in ("clear", "secure-aggregation", "homomorphic"):
        robust = ("median", "trimmed-mean", "krum", "multi-krum") if protection == "clear" else ()
        for aggregation in ("mean", *robust):
            modes = ("local",) if aggregation != "mean" else ("central", "local")
            kinds.append((protection, aggregation, None))
            kinds += [
                (protection, aggregation, _private(mode, of)) for mode in modes for of in ("record", "silo")
            ]
    return [
        Settings(
            rounds=5,
            silos=7,
            threshold=5,
            protection=protection,
            aggregation=aggregation,
            poisoned=0 if aggregation == "mean" else 1,
            privacy=privacy,
        )
        for protection, aggregation, privacy in kinds
    ]


def _private(mode: str, of: str) -> Privacy:
    return Privacy.model_validate(
        {"mode": mode, "of": of, "epsilon": 8.0, "delta": 1e-5, "noise_multiplier": 2.0, "rows": 1000}
    )


def _listening(settings: Settings) -> str:
    if settings.protection == "secure-aggregation":
        return "no: it sees sums of the threshold or more"
    if settings.protection == "homomorphic":
        return "no: it sees ciphertexts, and their sum opened"
    return _noisy(settings.privacy)


def _cheating(settings: Settings) -> str:
    noisy = _noisy(settings.privacy)
    if settings.protection == "secure-aggregation":
        return f"{noisy}, if it invents the other silos" if noisy == YES else noisy
    if settings.protection == "homomorphic":
        return f"{noisy}, if it has one ciphertext opened as a sum" if noisy == YES else noisy
    return noisy


def _noisy(privacy: Privacy | None) -> str:
    if privacy is None or privacy.mode == "central":
        return YES
    return f"yes, under noise that hides a {privacy.of}"


def _hidden(privacy: Privacy | None, whom: str) -> str:
    if privacy is None:
        return "not bounded"
    # A silo's rows are part of the silo.
    if privacy.of == whom or privacy.of == "silo":
        return "within (ε, δ)"
    return "not bounded"


def _oversized(settings: Settings) -> str:
    if settings.protection == "clear":
        return "refused by itself; the round goes on with the threshold"
    return "its app cuts it; if it lies, the sum exceeds the norm and the round is refused"


def _poisoned(settings: Settings) -> str:
    if settings.robust:
        return f"withstood, up to {settings.poisoned} of {settings.threshold}"
    if settings.protection == "clear":
        return "moves the mean, by the norm over the number of silos"
    return "moves the mean: by the norm over the number of silos by its app, by the norm at most if it lies"


_BEFORE = """# What each combination of a federation's terms protects against

`python -m services.federated.protections` writes this page from the code, and a test holds it to that. Combinations that
are not here contradict each other and are refused by `services/federated/settings.py`, with the reason. The table is for
seven silos and a threshold of five.
"""

_AFTER = """- **A server that listens** runs the protocol as it is and keeps what it receives; one that **cheats** does as it likes.
- Masks are stretched from whole seeds by AES-256, not by Flower's generator, which has 32 bits of them
  (`services/federated/secure_aggregation.py`). A silo gives no two shares of one other, answers a round once, and holds
  the server to the terms that the silo keeps itself.
- Public keys of silos come through the server, unsigned. One that invents silos is what secure aggregation does not
  withstand; local privacy bounds what it reads.
- **Homomorphic**: all silos have one key, which opens every ciphertext. The server has none, and a silo is handed the sum
  alone, by the server's word. Whoever has the key and a ciphertext reads that update.
- **Privacy of a record** hides one row of one silo, of a **silo** everything that one silo has. Under *central* privacy
  with masks or encryption each silo adds its part of the noise, so that the fewest silos that may be added up make the
  whole. Silos in league with each other know their own parts of it. With *central* privacy in clear the server adds the
  noise, and is trusted with single updates. In *local* privacy each silo adds all of it.
- A silo counts what it gave within a run and stops at the budget, whatever the server says. Budgets of two runs add up:
  agreeing to new terms is agreeing to spend again.
- **Within the norm**: a silo that sends a well-formed wrong update. Robust means compare single updates, so they need them
  in clear: who fears a lying silo more than the server takes those, who fears the server more takes masks.
- No silo says how many rows it has, or how well it does: all weigh the same, and quality is measured on the server's own
  rows.
"""


if __name__ == "__main__":
    sys.stdout.write(page())
