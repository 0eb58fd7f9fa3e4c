"""An emulated account with a table and two block sets, and lines of a web ACL's log."""

from __future__ import annotations

import base64
import gzip
import ipaddress
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
from moto import mock_aws

from services.ip_blocker.blocker import Blocker
from services.ip_blocker.ledger import Ledger
from services.ip_blocker.settings import Settings, read

NOW = 1_800_000_000.0
MINUTE = int(NOW // 60)
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}

OWN = "198.51.100.0/24,2001:db8:77::/48"

Event = dict[str, Any]


def environment(**changes: str) -> dict[str, str]:
    return {
        "TABLE_NAME": "blocked",
        "NEVER_BLOCKED_CIDRS": OWN,
        "REFUSALS": "20",
        "WINDOW_MINUTES": "5",
        "BLOCK_MINUTES": "60",
        "LONGEST_BLOCK_MINUTES": "10080",
        "BLOCK_SET_IPV4_ID": "-",
        "BLOCK_SET_IPV4_NAME": "blocked-ipv4",
        "BLOCK_SET_IPV6_ID": "-",
        "BLOCK_SET_IPV6_NAME": "blocked-ipv6",
        **changes,
    }


class World:
    """The account, and a clock that stands."""

    def __init__(self) -> None:
        self.now = NOW
        self.waf = boto3.client("wafv2", **KEYS)
        self.table = boto3.resource("dynamodb", **KEYS).create_table(
            TableName="blocked",
            KeySchema=[{"AttributeName": "address", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "address", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        update, one_at_a_time = self.table.update_item, threading.Lock()

        def atomic(**arguments: Any) -> Any:
            # DynamoDB's updates are atomic; two threads in the emulator can both start from the same item.
            with one_at_a_time:
                return update(**arguments)

        self.table.update_item = atomic
        ids = {}
        for family, version in (("IPV4", "IPV4"), ("IPV6", "IPV6")):
            made = self.waf.create_ip_set(
                Name=f"blocked-{family.lower()}", Scope="REGIONAL", IPAddressVersion=version, Addresses=[]
            )
            ids[f"BLOCK_SET_{family}_ID"] = made["Summary"]["Id"]
        self.settings: Settings = read(environment(**ids))

    def blocker(self, waf: Any = None, **changes: Any) -> Blocker:
        said: dict[str, Any] = {
            "settings": self.settings,
            "ledger": Ledger(self.table),
            "waf": waf or self.waf,
            "clock": lambda: self.now,
            "pause": lambda _: None,
        }
        return Blocker(**{**said, **changes})

    def blocked(self) -> set[str]:
        found: set[str] = set()
        for block_set in self.settings.block_sets.values():
            got = self.waf.get_ip_set(Name=block_set.name, Scope="REGIONAL", Id=block_set.id)
            found |= {str(ipaddress.ip_network(each)) for each in got["IPSet"]["Addresses"]}
        return found


@contextmanager
def world() -> Iterator[World]:
    with mock_aws():
        yield World()


def line(address: str, number: int, *, minute: int = MINUTE, **changes: Any) -> Event:
    """Return a log event of a refused request."""
    headers = [{"name": "X-Forwarded-For", "value": "203.0.113.250"}]
    request = {
        "clientIp": address,
        "uri": "/v1/predict",
        "httpMethod": "GET",
        "headers": headers,
        "requestId": f"{address}-{minute}-{number}",
    }
    request |= changes.pop("request", {})
    body = {
        "timestamp": minute * 60_000 + number % 60_000,
        "action": "BLOCK",
        "terminatingRuleId": "rate",
        "httpRequest": request,
        **changes,
    }
    return {"id": str(number), "message": json.dumps(body)}


def suspicion(address: str, number: int, *, minute: int = MINUTE, **changes: Any) -> Event:
    """Return a log event of the gateway: somebody at this address may be copying a model."""
    body = {
        "service": "gateway",
        "event": "extraction-suspected",
        "request_id": f"{address}-{minute}-{number}",
        "principal": f"ward/client-{number}",
        "source_address": address,
        "model": "digits",
        "time": datetime.fromtimestamp(minute * 60, UTC).isoformat(),
        "writer": "5f0c",
        "number": number,
        **changes,
    }
    return {"id": str(number), "message": json.dumps(body)}


def lines(address: str, count: int, **changes: Any) -> list[Event]:
    return [line(address, number, **changes) for number in range(count)]


def delivery(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what Lambda is handed by CloudWatch Logs."""
    body = json.dumps({"messageType": "DATA_MESSAGE", "logEvents": list(events)})
    return {"awslogs": {"data": base64.b64encode(gzip.compress(body.encode())).decode()}}
