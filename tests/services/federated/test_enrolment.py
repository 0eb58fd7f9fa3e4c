"""Who may take part, and who may say so: enrolled nodes, each for itself, and an operator with a certificate."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.control_pb2 import RegisterNodeRequest, RegisterNodeResponse, StartRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.proto.fleet_pb2 import ActivateNodeResponse, PullMessagesRequest, RegisterNodeFleetRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from services.federated import certificates, processes, signed_app
from services.federated.certificates import Authority
from services.federated.errors import FederatedError
from services.shared.local import free_port
from tests.services.federated.fleet import Knock, private_key
from tests.services.federated.world import APP, World, public

REFUSED = 412
"""What Flower answers to a node that it does not know (``FLEET_NODE_ACTIVATION_FAILED``)."""

REGISTER, START = "/v1/control/register-node", "/v1/control/start-run"


def stranger() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def registration() -> RegisterNodeRequest:
    return RegisterNodeRequest(public_key=public_key_to_bytes(stranger().public_key()))


def submission() -> StartRunRequest:
    return StartRunRequest(fab=Fab(content=signed_app.built(APP)))


@pytest.fixture
def enrolled(world: World, tmp_path: Path) -> Iterator[Path]:
    """The key of one more node, which is enrolled and not there yet."""
    key = certificates.node_key(tmp_path / "guest")
    node = world.control().enrol("guest", public(key))
    yield key
    if node in world.control().nodes().values():
        world.control().dismiss(node)


def test_an_enrolled_node_comes_in_and_one_that_nobody_enrolled_does_not(
    world: World, enrolled: Path
) -> None:
    nodes = Knock(world.nodes, world.ca)
    answer = nodes.activate(private_key(enrolled)).raise_for_status()
    assert ActivateNodeResponse.FromString(answer.content).node_id == world.control().nodes()["guest"]
    assert nodes.activate(stranger()).status_code == REFUSED


def test_a_node_cannot_enrol_itself(world: World) -> None:
    key = stranger()
    request = RegisterNodeFleetRequest(public_key=public_key_to_bytes(key.public_key()))
    nodes = Knock(world.nodes, world.ca)
    before = world.control().nodes()
    assert nodes.signed("/v1/fleet/register-node", request, key).status_code >= REFUSED
    assert nodes.activate(key).status_code == REFUSED
    assert world.control().nodes() == before


def test_the_program_of_a_node_that_nobody_enrolled_does_not_come_in(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, 1)
    other.ports, other.ca = world.ports, world.ca
    before = world.control().online()
    with other:
        other.start_silo(0)
        # It is tried again, and refused again.
        other.until(lambda: other.log("silo-0").count("Starting Flower SuperNode") > 1, "it is not refused")
    assert "SuperNode ID" not in other.log("silo-0")
    assert world.control().online() == before


def test_a_key_that_is_not_the_nodes_does_not_speak_for_it(world: World, enrolled: Path) -> None:
    nodes, own = Knock(world.nodes, world.ca), private_key(enrolled)
    assert nodes.activate(stranger(), claimed=own.public_key()).status_code == 401
    nodes.activate(own).raise_for_status()
    other = private_key(world.node_keys[1])
    request = PullMessagesRequest(node=Node(node_id=world.control().nodes()["guest"]))
    assert nodes.signed("/v1/fleet/pull-messages", request, other).status_code == 401
    assert nodes.signed("/v1/fleet/pull-messages", request, own).status_code == 200


def test_a_dismissed_node_is_refused(world: World, enrolled: Path) -> None:
    nodes, key = Knock(world.nodes, world.ca), private_key(enrolled)
    node = world.control().nodes()["guest"]
    nodes.activate(key).raise_for_status()
    world.control().dismiss(node)
    assert nodes.activate(key).status_code == REFUSED
    request = PullMessagesRequest(node=Node(node_id=node))
    assert nodes.signed("/v1/fleet/pull-messages", request, key).status_code == 401


@pytest.mark.parametrize(
    ("path", "request_"), [(REGISTER, registration()), (START, submission())], ids=["register", "start"]
)
def test_who_holds_the_authoritys_certificate_finds_no_control_at_the_nodes_door(
    world: World, path: str, request_: RegisterNodeRequest | StartRunRequest
) -> None:
    nodes = Knock(world.nodes, world.ca)
    for spelled in (path, f"/v1/fleet/..{path}", f"/{path}", path.replace("control", "%63ontrol")):
        answer = nodes.post(spelled, request_.SerializeToString())
        assert answer.status_code == 404, spelled
    assert nodes.post("/v1/apps", b"{}").status_code == 404
    assert nodes.post("/v1/runtime/acquire-task", b"").status_code == 404


def test_the_operators_door_hears_nobody_without_an_operators_certificate(world: World) -> None:
    strangers = Authority("operators")
    forged = strangers.issue(world.folder / "forged.pem", common_name="operator")
    # Of the authority that silos know, and so perhaps a node's or the server's own.
    silos = world.authority.issue(world.folder / "silos.pem", common_name="operator")
    for certificate in (None, forged, silos):
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            Knock(world.control_address, world.ca, certificate).post(
                REGISTER, registration().SerializeToString()
            )
    operator = Knock(world.control_address, world.ca, world.operator_tls)
    answer = operator.post(REGISTER, registration().SerializeToString()).raise_for_status()
    world.control().dismiss(RegisterNodeResponse.FromString(answer.content).node_id)


@pytest.fixture(scope="module")
def bare(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Flower's own SuperLink, with TLS and node authentication, and without our doors."""
    folder, port = tmp_path_factory.mktemp("bare"), free_port()
    crt, key = folder / "server.crt", folder / "server.key"
    whole = world.tls.read_bytes()
    crt.write_bytes(whole)
    key.write_bytes(whole)
    command = [processes.tool("flower-superlink"), "--ssl-ca-certfile", str(world.ca), "--ssl-certfile"]
    command += [str(crt), "--ssl-keyfile", str(key), "--enable-supernode-auth", "--isolation", "process"]
    command += ["--disable-runtime-dependency-installation", "--host", "127.0.0.1", "--port", str(port)]
    with processes.Processes() as running:
        running.start("bare", command, processes.environment(folder / "home"), folder / "log")

        def answers() -> bool:
            try:
                return Knock(f"127.0.0.1:{port}", world.ca).post("/health", b"").status_code > 0
            except httpx.TransportError:
                return False

        world.until(answers, "Flower's own does not answer")
        yield f"127.0.0.1:{port}"


def test_without_our_doors_the_same_outsider_registers_a_node_and_starts_an_app(
    world: World, bare: str
) -> None:
    outsider = Knock(bare, world.ca)
    assert outsider.post(REGISTER, registration().SerializeToString()).status_code == 200
    assert outsider.post(START, submission().SerializeToString()).status_code == 200


def says_expired(world: World) -> bool:
    """Return whether an operator is told that the certificate expired; before that nobody listens."""
    try:
        world.control().online()
    except FederatedError as error:
        return "certificate has expired" in str(error)
    raise AssertionError("the certificate is taken")


def test_an_expired_certificate_of_the_server_is_refused(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, 1)
    other.authority, other.ca = world.authority, world.ca
    expired = world.authority.issue(tmp_path / "expired.pem", ended=True)
    with other:
        other.start_server(tls=expired, wait=False)
        other.until(lambda: says_expired(other), "the certificate is taken")
        other.start_silo(0)
        other.until(lambda: "expired" in other.log("silo-0"), "the node says nothing of it")
    assert "SuperNode ID" not in other.log("silo-0")


def test_a_certificate_of_another_authority_is_refused(world: World) -> None:
    unknown = Authority("federation").certificate(world.folder / "unknown-ca.pem")
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        Knock(world.nodes, unknown).activate(private_key(world.node_keys[0]))


def test_an_operator_hears_plainly_what_is_wrong(world: World) -> None:
    with pytest.raises(FederatedError, match="no public key in OpenSSH's format"):
        world.control().enrol("x", "nonsense")
    with pytest.raises(FederatedError, match="the server answered"):
        world.control().enrol("again", public(world.node_keys[0]))


def test_a_silo_that_trusts_nobody_does_not_start(tmp_path: Path) -> None:
    # Flower itself takes an empty list for no list, and runs every app.
    other = World(tmp_path, 1)
    assert other.start_silo(0, TRUSTED_ENTITIES=json.dumps({})).wait(30) == 2
    assert "TRUSTED_ENTITIES: names nobody" in other.log("silo-0")
