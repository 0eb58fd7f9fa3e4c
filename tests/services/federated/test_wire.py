"""What somebody on the wire gets, and what a node may send: TLS alone, and messages of its own, of a bounded size."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from flwr.proto.fleet_pb2 import PullMessagesRequest, PushMessagesRequest
from flwr.proto.message_pb2 import Message, Metadata, ObjectTree
from flwr.proto.node_pb2 import Node
from flwr.supercore.control.control_http_client import ControlHttpClient

from services.federated import doors, processes, signed_app
from services.shared.local import free_port
from tests.services.federated.fleet import Knock, private_key
from tests.services.federated.relay import Relay
from tests.services.federated.world import APP, World

Answers = list[list[dict[str, Any]]]

PUSH, PULL = "/v1/fleet/push-messages", "/v1/fleet/pull-messages"

SEED, SIZE = 7, 64


def parameters() -> np.ndarray:
    """Return what the tests' server sends."""
    return np.random.default_rng(SEED).normal(size=SIZE)


def readable(captured: bytes) -> set[str]:
    """Return what of a federation can be read in captured bytes."""
    numbers = parameters()
    marks = {
        "numpy": b"\x93NUMPY",
        "path": b"/v1/fleet/",
        "float64": numbers.tobytes(),
        "float32": numbers.astype(np.float32).tobytes(),
        "one": numbers[:2].tobytes(),
        "answer": (numbers + 3).tobytes(),
    }
    return {name for name, mark in marks.items() if mark in captured}


def test_nothing_of_a_message_can_be_read_on_the_wire(world: World, answers: Answers) -> None:
    assert world.relay is not None
    captured = world.relay.captured
    assert 2 in {answer["silo"] for answer in answers[0]}
    # Both parameters and answers went by here, and all of it was TLS.
    assert len(captured) > 2 * parameters().nbytes
    assert readable(captured) == set()


def test_without_tls_the_same_search_finds_parameters_and_answers(world: World, tmp_path: Path) -> None:
    port = free_port()
    relay = Relay(port)
    with processes.Processes() as running:
        home = {**processes.environment(tmp_path / "home"), "STORE_KEY_FILE": ""}
        server = [
            processes.tool("flower-superlink"),
            "--insecure",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        server += ["--disable-runtime-dependency-installation"]
        running.start("server", server, home, tmp_path / "server.log")
        (tmp_path / "store").mkdir()
        node = [processes.tool("flower-supernode"), "--insecure", "--superlink", f"127.0.0.1:{relay.port}"]
        node += ["--host", "127.0.0.1", "--port", str(free_port()), "--node-config"]
        # The third silo's number, whose answers the search is for.
        node += [f'partition-id=2 num-partitions=1 silo-store="{tmp_path / "store"}"']
        control = ControlHttpClient(f"http://127.0.0.1:{port}", timeout=10)
        world.until(lambda: answering(port), "Flower's own does not answer")
        running.start("node", node, home, tmp_path / "node.log")
        world.results.mkdir(exist_ok=True)
        start_insecure(control, {**world.config(silos=1), "results": str(tmp_path)})
        world.until(lambda: (tmp_path / "said.json").exists(), "the run does not end")
        control.close()
    relay.close()
    assert readable(relay.captured) >= {"numpy", "path", "float64", "one", "answer"}


def start_insecure(control: ControlHttpClient, config: dict[str, Any]) -> None:
    from flwr.common.serde import user_config_to_proto
    from flwr.proto.control_pb2 import StartRunRequest
    from flwr.proto.fab_pb2 import Fab

    request = StartRunRequest(fab=Fab(content=signed_app.built(APP)))
    for name, value in user_config_to_proto(config).items():
        request.override_config[name].CopyFrom(value)
    assert control.StartRun(request).run_id


def answering(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code > 0
    except httpx.TransportError:
        return False


def test_every_door_speaks_tls_1_3_alone(world: World) -> None:
    for port in world.ports.values():
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/v1/fleet/")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(httpx.TransportError):
            httpx.get(f"https://127.0.0.1:{port}/", verify=context)


def test_a_message_that_is_signed_too_long_ago_is_refused(world: World) -> None:
    nodes, key = Knock(world.nodes, world.ca), private_key(world.node_keys[0])
    request = PullMessagesRequest(node=Node(node_id=world.control().nodes()["silo-0"]))
    # Flower gives a signed time 300 s, and clocks 5 s (common/constant.py).
    assert nodes.signed(PULL, request, key, seconds_ago=310).status_code == 401
    assert nodes.signed(PULL, request, key, seconds_ago=-10).status_code == 401
    assert nodes.signed(PULL, request, key, seconds_ago=290).status_code == 200


def pushed(node: int, *senders: int) -> PushMessagesRequest:
    """Return answers to nothing, of some nodes, in a request of one."""
    return PushMessagesRequest(
        node=Node(node_id=node),
        messages_list=[
            Message(
                metadata=Metadata(
                    run_id=1,
                    message_id="a" * 64,
                    src_node_id=sender,
                    dst_node_id=1,
                    reply_to_message_id="b" * 64,
                )
            )
            for sender in senders
        ],
        message_object_trees=[ObjectTree(object_id="a" * 64) for _ in senders],
    )


def test_a_node_answers_for_itself_alone(world: World) -> None:
    numbers = world.control().nodes()
    nodes, key = Knock(world.nodes, world.ca), private_key(world.node_keys[0])
    for senders in ((numbers["silo-1"],), (numbers["silo-0"], numbers["silo-1"]), ()):
        answer = nodes.signed(PUSH, pushed(numbers["silo-0"], *senders), key)
        assert answer.status_code == 403
        assert answer.text == "a node sends messages of its own\n"
    # Of its own it is let in; that there is no such run is Flower's to say.
    assert nodes.signed(PUSH, pushed(numbers["silo-0"], numbers["silo-0"]), key).status_code not in {403, 404}


def test_a_replayed_answer_is_taken_once(world: World, answers: Answers) -> None:
    # Whoever could replay it (a node, or who ends TLS) brings nothing new: the run is over, or has its answer.
    numbers = world.control().nodes()
    nodes, key = Knock(world.nodes, world.ca), private_key(world.node_keys[0])
    request = pushed(numbers["silo-0"], numbers["silo-0"])
    first = nodes.signed(PUSH, request, key)
    again = nodes.signed(PUSH, request, key)
    assert first.status_code == again.status_code >= 400


@pytest.mark.parametrize(
    "body", [b"", b"\xff" * 64, b"\x0a\x7f", bytes(1000)], ids=["empty", "ones", "cut", "zeros"]
)
def test_malformed_messages_are_refused_and_the_server_goes_on(world: World, body: bytes) -> None:
    nodes, key = Knock(world.nodes, world.ca), private_key(world.node_keys[0])
    for path in (PUSH, PULL, "/v1/fleet/activate-node", "/v1/fleet/push-object"):
        status = nodes.signed(path, body, key).status_code
        assert 400 <= status < 500, (path, status)
    assert nodes.post("/v1/fleet/nothing", body).status_code in {401, 404}
    request = PullMessagesRequest(node=Node(node_id=world.control().nodes()["silo-0"]))
    assert nodes.signed(PULL, request, key).status_code == 200


def test_a_request_is_bounded(world: World) -> None:
    nodes, key = Knock(world.nodes, world.ca), private_key(world.node_keys[0])
    answer = nodes.signed("/v1/fleet/push-object", bytes(doors.MOST_BYTES + 1), key)
    assert answer.status_code == 413


def test_a_client_that_says_nothing_keeps_no_other_waiting(world: World) -> None:
    import socket

    idle = [socket.create_connection(("127.0.0.1", world.ports["nodes"])) for _ in range(20)]
    started = time.monotonic()
    assert world.control().online()
    for each in idle:
        each.close()
    assert time.monotonic() - started < 60
