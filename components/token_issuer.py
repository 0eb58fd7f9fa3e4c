"""Who vouches for the callers of a service: the cluster, whose tokens name a service account and one audience."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.pod_network import Addresses
from components.pods import API_SERVER, TOKENS


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """The cluster, whose keys its own API server tells to its service accounts.

    The public address of the issuer is out of reach: the pods have no way to the internet.
    """

    url: pulumi.Input[str]
    """What stands in tokens as their issuer."""
    api_server: Addresses
    security_group_id: pulumi.Input[str]
    """Group of the API server's interfaces."""

    def environment(self, audience: str) -> dict[str, pulumi.Input[str]]:
        """Return where a service finds the keys, what it shows there, and as whom its callers must mean it."""
        return {
            "CALLER_ISSUER": self.url,
            "CALLER_AUDIENCE": audience,
            "CALLER_KEYS_URL": "https://kubernetes.default.svc/openid/v1/jwks",
            "CALLER_KEYS_CA_FILE": f"{TOKENS}/ca.crt",
            "CALLER_KEYS_TOKEN_FILE": f"{TOKENS}/{API_SERVER}",
        }
