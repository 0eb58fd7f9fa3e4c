"""Authorisation: the default is no, and a refusal says nothing about what exists."""

from __future__ import annotations

import json
import sys
from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from services.data_api.authorisation import Policies, PolicyError
from services.data_api.declarations import load
from services.data_api.settings import HERE
from services.shared.addresses import caller_address
from services.shared.tokens import Caller
from tests.services.data_api.conftest import World

DATASET = load(HERE / "datasets")["breast_cancer"]


def test_refusals_are_the_same_whether_or_not_the_dataset_exists(world: World) -> None:
    nobody = world.issuer.token("elsewhere:stranger")
    answers = [
        world.call("POST", f"/v1/datasets/{name}/records", token=nobody, json={"purpose": "research"})
        for name in ("breast_cancer", "no_such_data")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].content == answers[1].content
    assert set(answers[0].headers) == set(answers[1].headers)


def test_a_refusal_does_the_same_work_whether_or_not_the_dataset_exists() -> None:
    caller = Caller(namespace="elsewhere", service_account="stranger")

    def work(name: str, dataset: Any) -> Counter[str]:
        # Decisions are remembered: of each name, the first question and the second are looked at.
        policies = Policies(HERE / "policies")
        calls: Counter[str] = Counter()

        def note(frame: FrameType, event: str, _argument: Any) -> None:
            # Making the sets of attributes costs microseconds; decisions and statements are what can be told apart.
            if event == "call" and not frame.f_code.co_name.startswith("<"):
                calls[frame.f_code.co_name] += 1

        sys.setprofile(note)
        try:
            for _ in range(2):
                policies.allows(caller, "records", name, dataset, purpose="research", address="10.0.0.1")
        finally:
            sys.setprofile(None)
        return calls

    work("breast_cancer", DATASET)
    assert work("breast_cancer", DATASET) == work("no_such_data", None)


def test_only_what_may_be_seen_is_listed(world: World) -> None:
    seen = world.call("GET", "/v1/datasets").json()["datasets"]
    assert [dataset["name"] for dataset in seen] == ["breast_cancer"]
    assert world.call("GET", "/v1/datasets", token=world.issuer.token("a:b")).json() == {"datasets": []}


def test_a_purpose_that_the_data_was_not_collected_for_is_refused(world: World) -> None:
    assert world.records({"purpose": "marketing"}).status_code == 403


def test_a_notebook_asks_aggregates_but_reads_no_rows(world: World) -> None:
    notebook = world.issuer.token("analysis:notebook")
    assert world.records({}, token=notebook).status_code == 403
    assert world.aggregate({"kind": "count", "milli_epsilon": 10}, token=notebook).status_code == 200


def test_the_schema_tells_masks(world: World) -> None:
    told = world.call("GET", "/v1/datasets/breast_cancer").json()
    assert told["columns"]["patient"]["mask"] == "pseudonym"
    assert "consented" not in told["columns"]


def policy_folder(folder: Path, text: str) -> Path:
    for name in ("schema.cedarschema", "roles.yaml"):
        (folder / name).write_text((HERE / "policies" / name).read_text())
    (folder / "access.cedar").write_text(text)
    return folder


def test_policies_that_speak_of_the_unknown_do_not_load(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        Policies(policy_folder(tmp_path, "permit (principal, action, resource) when { context.mfa };"))


def test_a_forbid_that_may_err_does_not_load(tmp_path: Path) -> None:
    text = 'permit (principal, action, resource); forbid (principal, action, resource) when { context.purpose == "x" };'
    with pytest.raises(PolicyError):
        Policies(policy_folder(tmp_path, text))


def test_without_policies_nothing_is_allowed(tmp_path: Path) -> None:
    policies = Policies(policy_folder(tmp_path, ""))
    trainer = Caller(namespace="training", service_account="trainer")
    assert not policies.allows(trainer, "list", "breast_cancer", DATASET, purpose=None, address="10.0.0.1")


def test_a_dataset_that_is_not_declared_is_refused_even_by_a_permit_for_all(tmp_path: Path) -> None:
    policies = Policies(policy_folder(tmp_path, "permit (principal, action, resource);"))
    trainer = Caller(namespace="training", service_account="trainer")
    assert policies.allows(trainer, "list", "breast_cancer", DATASET, purpose=None, address="10.0.0.1")
    assert not policies.allows(trainer, "list", "other", None, purpose=None, address="10.0.0.1")


@pytest.mark.parametrize(
    ("peer", "header", "address"),
    [
        ("203.0.113.9", ["10.1.1.1"], "203.0.113.9"),
        ("10.0.0.5", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.5", ["1.2.3.4, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.5", ["1.2.3.4", "198.51.100.7, 10.0.0.6"], "198.51.100.7"),
        ("10.0.0.5", ["localhost"], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("10.0.0.5", [], "10.0.0.5"),
        (None, ["10.1.1.1"], "0.0.0.0"),
        ("::1", ["fe80::1%eth0"], "::1"),
    ],
)
def test_the_address_is_the_last_that_a_trusted_proxy_vouches_for(
    peer: str | None, header: list[str], address: str
) -> None:
    assert caller_address(peer, header, [ip_network("10.0.0.0/24"), ip_network("::1/128")]) == address


def test_a_spoofed_header_does_not_reach_the_audit(world: World) -> None:
    world.records({"limit": 1}, headers={"X-Forwarded-For": "192.0.2.77", "Forwarded": "for=192.0.2.77"})
    assert "192.0.2.77" not in world.log.read_text()
    assert json.loads(world.log.read_text().splitlines()[-1])["source_address"] in ("127.0.0.1", "::1")
