"""One image, three programs: the server of a federation, a silo's node, and the operator's run.

    python -m services.federated server      # meets enrolled nodes on PORT, operators on CONTROL_PORT
    python -m services.federated silo        # takes part, by the terms that the silo agreed to
    python -m services.federated operator    # signs the app, starts a run, waits for its end
    python -m services.federated.local       # all of it on this machine, with bundled data (make federate)

Each reads its environment; ``services/federated/places.py`` says what is read, and docs/federated.md what it means.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from services.federated import places
from services.federated.errors import FederatedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; whatever is wrong is one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m services.federated",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", choices=("server", "silo", "operator"))
    asked = parser.parse_args(arguments)
    try:
        return _run(asked.program)
    except FederatedError as error:
        sys.stderr.write(f"federated: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _run(program: str) -> int:
    # Each program loads what it needs, and a silo needs no server.
    if program == "server":
        from services.federated import server

        return server.run(places.read(places.Server, os.environ))
    if program == "silo":
        from services.federated import silo

        return silo.run(places.read(places.Silo, os.environ))
    from services.federated import operator

    return operator.run(places.read(places.Operator, os.environ))


if __name__ == "__main__":
    raise SystemExit(main())
