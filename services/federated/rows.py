"""A silo's rows come from its own data-access API, by its own token, and go into its store, sealed.

The federation's server has no part in it: what the silo's policies and budgets do not give to this service account never
reaches the ClientApp. They are read anew at each start of the node.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import numpy as np

from services.federated import silo_store
from services.federated.errors import FederatedError
from services.federated.places import Silo, secret
from services.shared.data_client import DataApiClient, DataApiError


def filled(places: Silo) -> None:
    """Fill the store from the data-access API; where the silo names none, the store must be filled already.

    Raises:
        FederatedError: the API refused, a column is not of numbers, or there is nothing.
    """
    store = silo_store.opened(places.store, silo_store.named(places))
    if places.data_api_url is None:
        if not store.holds():
            raise FederatedError(f"DATA_API_URL: is not set, and {places.store} holds nothing")
        return
    dataset, purpose, label = (_given(places, name) for name in ("dataset", "purpose", "label"))
    token_file = places.data_api_token_file
    if token_file is None:
        raise FederatedError("DATA_API_TOKEN_FILE: is not set, and DATA_API_URL is")
    if not places.columns:
        raise FederatedError("COLUMNS: is not set, and DATA_API_URL is; name columns, separated by commas")
    client = DataApiClient(places.data_api_url, token=lambda: _token(token_file), tls=_tls(places))
    try:
        batches = list(client.batches(dataset, purpose=purpose, columns=[*places.columns, label]))
        columns = [
            np.concatenate([batch.column(name).to_numpy(zero_copy_only=False) for batch in batches])
            for name in (*places.columns, label)
        ]
        store.keep(
            np.stack(columns[:-1], axis=1).astype(np.float32), np.asarray(columns[-1]).astype(np.int64)
        )
    except DataApiError as error:
        raise FederatedError(f"{dataset}: the data-access API refused: {error}") from None
    except (KeyError, ValueError, TypeError) as error:
        raise FederatedError(f"{dataset}: its rows are not numbers with a label: {error}") from None
    finally:
        client.close()


def _given(places: Silo, name: str) -> str:
    value: str | None = getattr(places, name)
    if not value:
        raise FederatedError(f"{name.upper()}: is not set, and DATA_API_URL is")
    return value


def _token(path: Path) -> str:
    return path.read_text().strip()


def _tls(places: Silo) -> ssl.SSLContext | None:
    if places.data_api_ca_file is None and places.data_api_ca_secret_id is None:
        return None
    try:
        return ssl.create_default_context(cadata=secret(places, "data_api_ca").decode())
    except (ssl.SSLError, ValueError) as error:
        raise FederatedError(f"DATA_API_CA_FILE: holds no certificates in PEM: {error}") from None
