"""Connections to the database: TLS with the server's name verified, a password from a file or a token of IAM."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from services.data_api.settings import Settings
from services.shared.problems import Problem, unavailable

CONNECT_SECONDS = 3.0
GONE = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError,
        asyncpg.InvalidAuthorizationSpecificationError, TimeoutError)  # fmt: skip
"""What asyncpg raises when the server is away, starting, stopping or full."""


class Database:
    """A pool that is made when it is first needed, and heals by itself when the server is back."""

    def __init__(self, settings: Settings, *, most_connections: int = 16) -> None:
        """Remember where the database is."""
        self._settings, self._most = settings, most_connections
        self._pool: asyncpg.Pool[Any] | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy[Any]]:
        """Lend a connection.

        Raises:
            Problem: 503, the database is away; 413, the statement took too long.
        """
        try:
            pool = self._pool or await self._open()
            async with pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection
        except GONE as error:
            raise unavailable("The database is away.") from error
        except asyncpg.QueryCanceledError as error:
            raise Problem(413, "too-much", "The query takes too long; narrow it.") from error
        except asyncpg.PostgresError as error:
            # Its message may hold SQL or data: it is not passed on.
            raise unavailable("The database refuses.") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _open(self) -> asyncpg.Pool[Any]:
        async with self._lock:
            if self._pool is None:
                s = self._settings
                socket = s.database_host.startswith("/")
                self._pool = await asyncpg.create_pool(
                    host=s.database_host,
                    port=s.database_port,
                    user=s.database_user,
                    database=s.database_name,
                    password=self._password,
                    # A socket of this machine has no network to protect.
                    ssl=False if socket else verify_full(s),
                    min_size=0,
                    max_size=self._most,
                    timeout=CONNECT_SECONDS,
                    reset=_left_clean,
                    server_settings={
                        "statement_timeout": str(int(s.limits.statement_seconds * 1000)),
                        "idle_in_transaction_session_timeout": "120000",
                        "jit": "off",
                    },
                )
        return self._pool

    async def _password(self) -> str:
        file = self._settings.database_password_file
        if file is not None:
            return file.read_text().strip()
        return await asyncio.to_thread(self._iam_token)

    def _iam_token(self) -> str:
        import boto3

        s = self._settings
        rds = boto3.client("rds", region_name=s.aws_region)
        return str(rds.generate_db_auth_token(s.database_host, s.database_port, s.database_user))


async def _left_clean(connection: asyncpg.pool.PoolConnectionProxy[Any]) -> None:
    """End what a cancelled caller left open. Nothing else is changed in a session, so nothing else is reset.

    asyncpg's own reset costs a round trip after every statement.
    """
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


def verify_full(settings: Settings) -> ssl.SSLContext:
    """Return a context that takes only a certificate of our authority with the server's name (``verify-full``)."""
    context = ssl.create_default_context(cafile=settings.database_ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
