"""Flower's SuperNode, as a process that is over when its work is.

A SuperNode that gives up (a server that closes a connection in the middle of a TLS handshake is enough, as a load balancer
without a server behind it does) ends its main thread and waits for its own Runtime API for ever: seen from outside it lives.
"""

from __future__ import annotations

import os
import sys

from flwr.supernode.cli import flower_supernode


def main() -> None:
    """Run until it is over, whatever threads it leaves."""
    code = 1
    try:
        flower_supernode()
        code = 0
    except SystemExit as over:
        code = over.code if isinstance(over.code, int) else 1
    except Exception as error:
        # Whatever it is, the node is over, and its supervisor begins anew.
        sys.stderr.write(f"federated: the node is over: {type(error).__name__}: {error}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
