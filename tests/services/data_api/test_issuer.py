"""The keys of a cluster: over TLS that descends from the cluster's authority, for whoever shows a token."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.data_api.settings import read
from services.shared.issuer import keys_of
from services.shared.local import certificates
from services.shared.settings import SettingsError
from tests.services.support import run

NEEDED = {"DATABASE_HOST": "db", "CALLER_ISSUER": "https://issuer.example"}


class ApiServer(http.server.BaseHTTPRequestHandler):
    """Tells its keys to whoever shows the token."""

    def do_GET(self) -> None:
        shown = self.headers.get("Authorization") == "Bearer of-the-pod"
        self.send_response(200 if shown and self.path == "/openid/v1/jwks" else 403)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": [{"kid": "one"}]}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the settings of a service in a cluster, with a newline after the token."""
    certificate, key = certificates(tmp_path / "ca.crt")
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate + key)
    (tmp_path / "token").write_text("of-the-pod\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ApiServer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        **NEEDED,
        "CALLER_KEYS_URL": f"https://localhost:{server.server_address[1]}/openid/v1/jwks",
        "CALLER_KEYS_CA_FILE": str(tmp_path / "ca.crt"),
        "CALLER_KEYS_TOKEN_FILE": str(tmp_path / "token"),
    }
    server.shutdown()
    server.server_close()


def test_the_clusters_keys_are_fetched_with_the_pods_token(cluster: dict[str, str]) -> None:
    assert run(keys_of(read(cluster))()) == {"keys": [{"kid": "one"}]}


@pytest.mark.parametrize("left_out", ["CALLER_KEYS_CA_FILE", "CALLER_KEYS_TOKEN_FILE"])
def test_without_authority_or_token_there_are_no_keys(cluster: dict[str, str], left_out: str) -> None:
    import httpx

    settings = read({name: value for name, value in cluster.items() if name != left_out})
    with pytest.raises(httpx.HTTPError):
        run(keys_of(settings)())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"CALLER_KEYS_URL": "http://issuer.example/keys"}, "CALLER_KEYS_URL"),
        ({"CALLER_KEYS_TOKEN_FILE": "/token"}, "CALLER_KEYS_TOKEN_FILE"),
        ({"TRUSTED_PROXIES": "everybody"}, "TRUSTED_PROXIES"),
        ({"PORT": "many"}, "PORT"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read({**NEEDED, **wrong})
