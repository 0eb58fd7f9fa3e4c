"""Adversarial training: attacks stay within their bounds, and a model that was trained on them withstands more."""

from __future__ import annotations

import torch

from services.trainer.adversarial import pgd
from tests.services.trainer.conftest import PLAIN, digits, job, trained
from tests.services.trainer.figures import under_attack

ROBUST = {"robustness": {"epsilon": 0.15, "steps": 4}}


def test_attacks_stay_near_and_between_the_bounds() -> None:
    values, labels = digits()
    network = torch.nn.Sequential(torch.nn.Linear(64, 10))
    inputs, answers = torch.from_numpy(values[:50]), torch.from_numpy(labels[:50])
    moved = pgd(network, inputs, answers, epsilon=0.1, steps=7)
    assert float((moved - inputs).abs().max()) <= 0.1 + 1e-6
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    loss = torch.nn.functional.cross_entropy
    assert loss(network(moved), answers) > loss(network(inputs), answers)
    assert all(each.grad is None for each in network.parameters()), "the attack teaches the network nothing"


def test_adversarial_training_withstands_more_plain_and_private() -> None:
    values, labels = digits()
    split = (values[:800], labels[:800], values[800:1100], labels[800:1100])
    kinds = {
        "plain": {**PLAIN, "training__epochs": 12},
        "private": {"privacy__epsilon": 8, "training__epochs": 14, "training__batch_size": 200},
    }
    for name, changes in kinds.items():
        usual, robust = trained(job(**changes), *split), trained(job(**changes, **ROBUST), *split)
        assert under_attack(robust, 0.12) > under_attack(usual, 0.12) + 0.05, name
        assert robust.curve[-1].accuracy > usual.curve[-1].accuracy - 0.12, name
        assert robust.epsilon == usual.epsilon, "attacks on one's own rows cost nothing"
