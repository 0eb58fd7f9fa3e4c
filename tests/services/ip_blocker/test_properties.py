"""Expiry, eviction and the allow list, whatever comes: properties, tried on made-up histories."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ip_blocker.addresses import is_among, network_of
from services.ip_blocker.lines import Kind
from services.ip_blocker.score import Record, judge, length_minutes, points
from services.ip_blocker.sets import fitting
from services.ip_blocker.settings import Network, Sentence, read
from tests.services.ip_blocker.world import environment

SENTENCE = Sentence(points=20, window_minutes=5, block_minutes=60, longest_block_minutes=10_080)

names = st.frozensets(st.text("abcdef", min_size=1, max_size=3), max_size=40)
kinds: st.SearchStrategy[Kind] = st.sampled_from(["refused", "attack", "failed", "path"])
seen = st.dictionaries(st.integers(1000, 1120), st.dictionaries(kinds, names), max_size=12)
addresses = st.ip_addresses().map(str)
networks = addresses.map(network_of).filter(lambda found: found is not None)


@given(seen)
def test_nobody_is_blocked_below_the_limit_and_everybody_at_it(what: Any) -> None:
    verdict = judge(Record(seen=what), SENTENCE)
    reached = any(points(what, minute, 5) >= SENTENCE.points for minute in what)
    assert (verdict.times > 0) == reached


@given(seen)
def test_a_block_ends_after_its_length(what: Any) -> None:
    verdict = judge(Record(seen=what), SENTENCE)
    if verdict.times:
        assert verdict.until_minute == verdict.since_minute + length_minutes(verdict.times - 1, SENTENCE)
        assert verdict.since_minute in what


@given(st.integers(0, 200))
def test_a_repeat_is_never_shorter(times: int) -> None:
    assert length_minutes(times + 1, SENTENCE) >= length_minutes(times, SENTENCE)


@given(seen, seen)
def test_more_evidence_never_lets_anybody_go(what: Any, more: Any) -> None:
    union: Any = {
        minute: {
            kind: what.get(minute, {}).get(kind, frozenset()) | more.get(minute, {}).get(kind, frozenset())
            for kind in ("refused", "attack", "failed", "path")
        }
        for minute in {*what, *more}
    }
    assert (judge(Record(seen=union), SENTENCE).times > 0) >= (judge(Record(seen=what), SENTENCE).times > 0)


@given(seen)
def test_a_pardon_covers_all_that_was(what: Any) -> None:
    assert judge(Record(seen=what, pardoned_minute=1120), SENTENCE).times == 0


@given(st.integers(0, 10**6))
def test_no_block_is_longer_than_the_longest(times: int) -> None:
    assert 60 <= length_minutes(times, SENTENCE) <= 10_080


@settings(max_examples=300)
@given(st.dictionaries(networks, st.integers(1, 10_000), max_size=30), st.integers(1, 20))
def test_eviction_takes_those_nearest_to_their_end(until: dict[Network, int], capacity: int) -> None:
    stay = fitting(until, capacity)
    assert len(stay) == min(capacity, len(until))
    gone = set(until) - stay
    assert not gone or max(until[n] for n in gone) <= min(until[n] for n in stay)


OWN = read(environment()).never_blocked


@given(
    st.ip_addresses(network="198.51.100.0/24").map(str) | st.ip_addresses(network="2001:db8:77::/48").map(str)
)
def test_every_address_of_ours_is_recognised(text: str) -> None:
    network = network_of(text)
    assert network is not None
    assert is_among(network, OWN)


@settings(max_examples=500)
@given(addresses)
def test_who_is_blocked_is_no_wider_than_one_client(text: str) -> None:
    network = network_of(text)
    if network is not None:
        address = ipaddress.ip_address(text)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert (mapped or address) in network
        assert network.prefixlen == (32 if network.version == 4 else 64)
