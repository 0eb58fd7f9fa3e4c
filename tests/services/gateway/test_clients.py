"""Who may ask what: the default is nobody, and every slip in ``clients.yaml`` is one line that says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.gateway.clients import MOST_BYTES, Allowance, Clients, ClientsError
from services.gateway.extraction import Bounds
from services.gateway.outputs import LabelOnly, Rounded, TopK

GOOD = """
classes:
  partner:
    digits:
      outputs: {kind: top-k, k: 3, decimals: 1, undecided_below: 0.5}
      daily_queries: 5000
      on_suspicion: label-only
  public:
    digits: {outputs: {kind: label}, daily_queries: 100, on_suspicion: refuse}
    spam: {outputs: {kind: rounded, decimals: 2}, daily_queries: 200, on_suspicion: label-only}
principals:
  ward/triage: partner
  web/form: public
usual:
  digits: {shapiro_least: 0.8, spread_least: 0.2, spread_most: 0.5}
"""


def read(folder: Path, text: str | bytes) -> Clients:
    path = folder / "clients.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Clients(path)


def test_a_client_has_what_its_class_has(tmp_path: Path) -> None:
    clients = read(tmp_path, GOOD)
    assert clients.of("ward/triage", "digits") == Allowance(
        client_class="partner",
        outputs=TopK(k=3, decimals=1, undecided_below=0.5),
        daily_queries=5000,
        on_suspicion="label-only",
    )
    public = clients.of("web/form", "digits")
    assert public is not None
    assert (public.client_class, public.outputs, public.on_suspicion) == ("public", LabelOnly(), "refuse")
    spam = clients.of("web/form", "spam")
    assert spam is not None
    assert spam.outputs == Rounded(decimals=2)


def test_what_is_usual_for_a_model_is_what_was_written_down(tmp_path: Path) -> None:
    clients = read(tmp_path, GOOD)
    assert clients.usual("digits") == Bounds(shapiro_least=0.8, spread_least=0.2, spread_most=0.5)
    assert clients.usual("spam") is None


@pytest.mark.parametrize(
    ("principal", "model"),
    [
        ("ward/other", "digits"),
        ("ward/triage", "spam"),
        ("ward/triage", "faces"),
        ("WARD/TRIAGE", "digits"),
        ("ward/triage ", "digits"),
        ("ward", "digits"),
        ("partner", "digits"),
        ("*", "digits"),
        ("", ""),
        ("ward/triage\x00", "digits"),
    ],
)
def test_who_is_not_named_is_nobody(tmp_path: Path, principal: str, model: str) -> None:
    assert read(tmp_path, GOOD).of(principal, model) is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "  ward/triage: partner",
            "  ward/triage: partners",
            "principals.ward/triage: is of the class partners",
        ),
        ("  ward/triage: partner", "  ward/*: partner", "principals.ward/*: "),
        ("  ward/triage: partner", "  ward: partner", "principals.ward: "),
        ("  ward/triage: partner", "  ward/triage: [partner]", "principals.ward/triage: "),
        ("k: 3", "k: 0", "classes.partner.digits.outputs.k: "),
        ("k: 3", "k: 11", "classes.partner.digits.outputs.k: "),
        ("k: 3", "k: '3'", "classes.partner.digits.outputs.k: "),
        ("k: 3, ", "", "classes.partner.digits.outputs.k: "),
        ("k: 3", "k: 3, k: 4", "at line 5: a key stands twice"),
        ("decimals: 1", "decimals: 3", "classes.partner.digits.outputs.decimals: "),
        ("decimals: 1", "decimals: 0", "classes.partner.digits.outputs.decimals: "),
        ("kind: top-k", "kind: full", "classes.partner.digits.outputs: "),
        ("kind: label", "kind: label, decimals: 1", "classes.public.digits.outputs.decimals: "),
        ("kind: top-k, ", "", "classes.partner.digits.outputs: "),
        ("undecided_below: 0.5", "undecided_below: 1.0", "outputs.undecided_below: "),
        ("undecided_below: 0.5", "undecided_below: .nan", "outputs.undecided_below: "),
        ("undecided_below: 0.5", "undecided_below: -0.1", "outputs.undecided_below: "),
        ("daily_queries: 5000", "daily_queries: 0", "classes.partner.digits.daily_queries: "),
        ("daily_queries: 5000", "daily_queries: yes", "classes.partner.digits.daily_queries: "),
        ("daily_queries: 5000", "daily_queries: 5e3", "classes.partner.digits.daily_queries: "),
        ("daily_queries: 5000", "daily_queries: .inf", "classes.partner.digits.daily_queries: "),
        ("daily_queries: 5000", "daily_queries: 1000000000", "classes.partner.digits.daily_queries: "),
        ("      daily_queries: 5000\n", "", "classes.partner.digits.daily_queries: "),
        (
            "on_suspicion: label-only\n  public",
            "on_suspicion: ignore\n  public",
            "partner.digits.on_suspicion: ",
        ),
        ("      on_suspicion: label-only\n", "", "classes.partner.digits.on_suspicion: "),
        ("      on_suspicion:", "      watched: no\n      on_suspicion:", "classes.partner.digits.watched: "),
        ("    digits:\n", "    Digits:\n", "classes.partner.Digits: "),
        ("  public:", "  partner:", "at line 3: a key stands twice"),
        ("  web/form", "  ward/triage", "at line 12: a key stands twice"),
        ("principals:", "principals: *all", "is not the YAML that is taken"),
        ("principals:\n", "principals: {}\nrest:\n", "rest: "),
        ("  ward/triage: partner\n  web/form: public\n", "  web/form\n", "principals: "),
        ("shapiro_least: 0.8", "shapiro_least: 0.5", "usual.digits.shapiro_least: "),
        ("spread_least: 0.2", "spread_least: -1.0", "usual.digits.spread_least: "),
        ("spread_most: 0.5", "spread_most: 9.9", "usual.digits.spread_most: "),
        ("spread_most: 0.5", "spread_most: .nan", "usual.digits.spread_most: "),
        ("  digits: {shapiro", "  faces: {shapiro", "usual.faces: is a model that no class may ask"),
        (GOOD, "", "the file: "),
        (GOOD, "[]", "the file: "),
        (GOOD, "classes: {}\nprincipals: {}", "classes: "),
        (GOOD, "classes:\n  partner: {}\nprincipals: {}", "classes.partner: "),
        (GOOD, "classes: " + "[" * 5000, "is not the YAML that is taken"),
        (GOOD, "? [a, b]\n: c", "is not the YAML that is taken"),
        (GOOD, "!!python/object/apply:os.system [true]", "is not the YAML that is taken"),
        (GOOD, "classes: \x00", "is not the YAML that is taken"),
        (GOOD, "#" * (MOST_BYTES + 1), "is larger than"),
    ],
)
def test_a_slip_is_one_line_that_says_where(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ClientsError) as wrong:
        read(tmp_path, GOOD.replace(old, new, 1))
    message = str(wrong.value)
    assert message.startswith(f"{tmp_path / 'clients.yaml'}: ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 400


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ClientsError, match="cannot be read: No such file"):
        Clients(tmp_path / "clients.yaml")
    with pytest.raises(ClientsError, match="cannot be read: Is a directory"):
        Clients(tmp_path)
    with pytest.raises(ClientsError, match="is not the YAML that is taken"):
        read(tmp_path, b"\x80\x81classes")
