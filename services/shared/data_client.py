"""A client that reads rows in Arrow batches, tries again, and goes on where a read was cut off."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"

BUDGET_EXHAUSTED = "budget-exhausted"

_AGAIN = {408, 429, 502, 503, 504}


class DataApiError(Exception):
    """The service refused; the message is its problem's detail."""

    def __init__(self, status: int, detail: str, kind: str = "") -> None:
        """Keep the status, and the problem's kind where there is one."""
        super().__init__(f"{status}: {detail}")
        self.status, self.kind = status, kind


class DataApiClient:
    """Reads from the data-access API. ``token`` is asked for at every request, so that a rotated one is used."""

    def __init__(
        self,
        address: str,
        *,
        token: Callable[[], str],
        tls: ssl.SSLContext | None = None,
        tries: int = 6,
        timeout_seconds: float = 60,
    ) -> None:
        """Connect to ``address``, such as ``https://data-api.data-api``."""
        self._token, self._tries = token, tries
        self._http = httpx.Client(base_url=address, verify=tls or True, timeout=timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def schema(self, dataset: str) -> dict[str, Any]:
        """Return the declaration of a dataset."""
        return self._json("GET", f"/v1/datasets/{dataset}", None)

    def aggregate(self, dataset: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return a private aggregate. It is never asked again: each answer costs budget."""
        response = self._http.post(
            f"/v1/datasets/{dataset}/aggregates", json=question, headers=self._headers()
        )
        _refused(response)
        return dict(response.json())

    def release(self, dataset: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Charge a model that is about to be trained. It may be asked again: the same release is charged once.

        Raises:
            DataApiError: the service refused (``BUDGET_EXHAUSTED``: the budget does not cover it), or did not come back.
        """
        tries = 0
        while True:
            try:
                return self._json("POST", f"/v1/datasets/{dataset}/releases", asked)
            except DataApiError as error:
                # A budget that does not cover it will not cover it in a second.
                if error.status not in _AGAIN or error.kind == BUDGET_EXHAUSTED:
                    raise
                tries = self._wait(tries, error)
            except httpx.TransportError as error:
                tries = self._wait(tries, error)

    def batches(
        self,
        dataset: str,
        *,
        purpose: str,
        columns: Sequence[str] | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
        rows: int = 1_000_000,
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows of a query in batches, each row once; ``rows`` is the size of one request.

        Raises:
            DataApiError: the service refused, or did not come back.
        """
        cursor, tries = None, 0
        while True:
            question = {"purpose": purpose, "columns": columns, "filters": list(filters), "limit": rows}
            try:
                for batch, after in self._stream(dataset, {**question, "cursor": cursor}):
                    tries = 0
                    yield batch
                    cursor = after
                    if cursor is None:
                        return
            except DataApiError as error:
                if error.status not in _AGAIN:
                    raise
                tries = self._wait(tries, error)
            except (httpx.TransportError, pa.ArrowInvalid, OSError) as error:
                tries = self._wait(tries, error)

    def _stream(
        self, dataset: str, question: Mapping[str, Any]
    ) -> Iterator[tuple[pa.RecordBatch, str | None]]:
        address = f"/v1/datasets/{dataset}/records"
        headers = {**self._headers(), "Accept": ARROW}
        with self._http.stream("POST", address, json=question, headers=headers) as response:
            if response.status_code != 200:
                response.read()
            _refused(response)
            with pa.ipc.open_stream(_Body(response.iter_raw())) as reader:
                while True:
                    try:
                        batch, metadata = reader.read_next_batch_with_custom_metadata()
                    except StopIteration:
                        return
                    yield batch, (metadata or {}).get(b"cursor", b"").decode() or None

    def _wait(self, tries: int, error: Exception) -> int:
        if tries + 1 >= self._tries:
            raise DataApiError(
                503, f"no answer after {self._tries} tries ({type(error).__name__})"
            ) from error
        time.sleep(min(5.0, 0.2 * 2**tries))
        return tries + 1

    def _json(self, method: str, address: str, body: Any) -> dict[str, Any]:
        response = self._http.request(method, address, json=body, headers=self._headers())
        _refused(response)
        return dict(response.json())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}"}


def _refused(response: httpx.Response) -> None:
    if response.status_code != 200:
        try:
            said = response.json()
            detail, kind = str(said["detail"]), str(said["type"]).removeprefix("urn:problem:")
        except (ValueError, KeyError, TypeError):
            detail, kind = "no problem details", ""
        raise DataApiError(response.status_code, detail, kind)


class _Body:
    """A response's body as a file for Arrow."""

    closed = False

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._rest = parts, memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        taken: list[bytes] = []
        left = size
        while left > 0 or size < 0:
            if not self._rest:
                part = next(self._parts, None)
                if part is None:
                    break
                self._rest = memoryview(part)
            piece = self._rest[: left if size >= 0 else len(self._rest)]
            taken.append(bytes(piece))
            self._rest = self._rest[len(piece) :]
            left -= len(piece)
        return b"".join(taken)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
