"""All assertions, topic by topic: a new topic is a module, and a line here."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions import (
    access,
    audit,
    backup,
    cluster,
    database,
    edge,
    encryption,
    federation,
    network,
    services,
    storage,
)
from blueprint.rehearsal.assertions.assertion import Assertion, Outcome, ask

TOPICS = (
    network.network,
    access.access,
    encryption.encryption,
    storage.storage,
    database.database,
    cluster.cluster,
    services.services,
    edge.edge,
    federation.federation,
    audit.audit,
    backup.backup,
)


def assertions() -> Iterator[tuple[str, Assertion]]:
    """Yield topic and assertion, in the order of the list above."""
    for topic in TOPICS:
        for assertion in topic.found:
            yield topic.topic, assertion


def ask_all(account: Account) -> tuple[list[Outcome], list[str]]:
    """Return what became of every assertion, and the sentences about what this account does not have."""
    outcomes, not_asked = [], []
    for topic, assertion in assertions():
        if account.of(assertion.about):
            outcomes.append(ask(topic, assertion, account))
        else:
            not_asked.append(f"{topic}: {assertion.sentence}")
    return outcomes, not_asked
