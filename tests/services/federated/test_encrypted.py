"""Homomorphic encryption: the sum is right, the server reads nothing, and who holds the key receives nothing but the sum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message
from flwr.common import EvaluateIns, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat

from services.federated import homomorphic, models, opening
from services.federated.apps import client
from services.federated.errors import FederatedError
from services.federated.homomorphic import Adder, KeyHolder, make_key
from tests.services.federated.inprocess import Silos, honest, settings

AGREED = settings(protection="homomorphic", rounds=2)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "silos.ckks"
    make_key(path)
    return path


@pytest.fixture
def silos(key: Path, monkeypatch: pytest.MonkeyPatch) -> Silos:
    monkeypatch.setenv(client.HOMOMORPHIC_KEY, str(key))
    return Silos(AGREED)


def sent(message: Message) -> bytes:
    result = compat.recorddict_to_fitres(message.content, True)
    return bytes(parameters_to_ndarrays(result.parameters)[0].tobytes())


def to_open(message: Message) -> bytes:
    ins = compat.recorddict_to_evaluateins(message.content, True)
    return bytes(parameters_to_ndarrays(ins.parameters)[0].tobytes())


def test_the_sum_of_ciphertexts_is_the_sum(key: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 650))
    holder = KeyHolder(key)
    total = Adder().add([holder.encrypt(vector) for vector in vectors])
    assert np.abs(holder.open(total) - vectors.sum(0)).max() < 1e-4


def test_rounds_come_to_what_they_come_to_in_clear(silos: Silos) -> None:
    clear = Silos(AGREED.model_copy(update={"protection": "clear"})).federate()
    encrypted = silos.federate()
    assert np.abs(models.flat(encrypted.arrays) - models.flat(clear.arrays)).max() < 1e-4
    assert silos.said == []


def test_the_server_receives_ciphertexts_that_it_cannot_open(silos: Silos, key: Path) -> None:
    silos.federate()
    received = [sent(message) for message in silos.received if message.metadata.message_type == "train"]
    assert len(received) == 6
    adder = Adder()
    for ciphertext in received[:3]:
        with pytest.raises(ValueError, match="secret_key"):
            opened_by(adder, ciphertext)
    # A key of its own opens noise; the silos' opens the update.
    update = honest(AGREED, 0)
    assert np.abs(KeyHolder(key).open(received[0]) - update).max() < 1e-4
    other = key.with_name("other.ckks")
    make_key(other)
    opened = KeyHolder(other).open(received[0])
    assert np.abs(opened).min() > 1e6 * np.abs(update).max()


def test_who_opens_receives_one_ciphertext_a_round_and_it_is_the_sum(silos: Silos, key: Path) -> None:
    silos.federate()
    single = {sent(message) for message in silos.received if message.metadata.message_type == "train"}
    opened = [to_open(message) for message in silos.sent if message.metadata.message_type == "evaluate"]
    assert len(opened) == AGREED.rounds
    assert not single & set(opened)
    wanted = sum(honest(AGREED, number) for number in range(3))
    assert np.abs(KeyHolder(key).open(opened[0]) - wanted).max() < 1e-4
    for message in silos.sent:
        if message.metadata.message_type == "train":
            assert not any(ciphertext in str(message.content).encode() for ciphertext in single)


@pytest.mark.parametrize(
    ("number", "added", "sentence"), [(1, 1, "a sum of 1 is not opened"), (1, 4, "a sum of 4 is not opened")]
)
def test_a_sum_of_too_few_is_not_opened(
    silos: Silos, key: Path, number: int, added: int, sentence: str
) -> None:
    answer = asked_to_open(silos, KeyHolder(key).encrypt(np.ones(650)), number, added)
    assert answer is not None
    assert answer.has_error()
    assert sentence in silos.said[0]


def test_a_silo_opens_one_sum_a_round(silos: Silos, key: Path) -> None:
    ciphertext = KeyHolder(key).encrypt(np.ones(650))
    first, again = (asked_to_open(silos, ciphertext, 1, 3) for _ in range(2))
    assert first is not None
    assert first.has_content()
    assert again is not None
    assert again.has_error()
    assert "nothing is sent twice" in silos.said[0]


def test_silos_open_nothing_where_no_encryption_was_agreed(key: Path) -> None:
    silos = Silos(settings())
    answer = asked_to_open(silos, KeyHolder(key).encrypt(np.ones(650)), 1, 3)
    assert answer is not None
    assert answer.has_error()


@pytest.mark.parametrize("lie", [b"", b"no ciphertext", bytes(300_000)])
def test_what_is_no_ciphertext_is_left_out(key: Path, monkeypatch: pytest.MonkeyPatch, lie: bytes) -> None:
    monkeypatch.setenv(client.HOMOMORPHIC_KEY, str(key))

    def changed(silo: int, asked: Message, answer: Message) -> Message:
        if silo == 1 and asked.metadata.message_type == "train":
            result = compat.recorddict_to_fitres(answer.content, True)
            result.parameters = ndarrays_to_parameters([opening.sealed(lie)])
            answer.content = compat.fitres_to_recorddict(result, False)
        return answer

    outcome = Silos(AGREED.model_copy(update={"rounds": 1}), changed=changed).federate()
    assert outcome.rounds[0].silos == 2
    wanted = (honest(AGREED, 0) + honest(AGREED, 2)) / 2
    assert np.abs(models.flat(outcome.arrays) - wanted).max() < 1e-4


def test_a_silo_that_leaves_before_it_opens_is_not_waited_for(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(client.HOMOMORPHIC_KEY, str(key))
    agreed = AGREED.model_copy(update={"rounds": 1})
    silos = Silos(agreed, gone=lambda silo, asked: silo == 0 and asked.metadata.message_type == "evaluate")
    assert silos.federate().rounds[0].silos == 3


def test_a_key_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_bytes(b"nothing")
    with pytest.raises(FederatedError, match="homomorphic-key: cannot be read"):
        KeyHolder(tmp_path / "key")
    monkeypatch.delenv(client.HOMOMORPHIC_KEY, raising=False)
    silos = Silos(AGREED)
    with pytest.raises(FederatedError, match="round 1: fewer silos answered"):
        silos.federate()
    assert "HOMOMORPHIC_KEY_FILE: is not set" in silos.said[0]


def opened_by(adder: Adder, ciphertext: bytes) -> list[float]:
    """Return what the server would read, were it able to."""
    return list(homomorphic._vector(adder._context, ciphertext).decrypt())


def asked_to_open(silos: Silos, ciphertext: bytes, number: int, added: int) -> Message | None:
    ins = EvaluateIns(
        ndarrays_to_parameters([opening.sealed(ciphertext)]), {opening.ROUND: number, opening.ADDED: added}
    )
    return silos.ask(silos.nodes[0], compat.evaluateins_to_recorddict(ins, True), "evaluate")
