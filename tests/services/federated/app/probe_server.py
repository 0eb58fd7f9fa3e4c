"""Sends known parameters to every silo, and writes down what came back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Go through the rounds."""
    settings = json.loads(str(context.run_config["settings"]))
    said = []
    until = time.monotonic() + 60
    while len(nodes := sorted(grid.get_node_ids())) < settings["silos"] and time.monotonic() < until:
        time.sleep(0.3)
    parameters = np.random.default_rng(settings["seed"]).normal(size=settings["size"])
    for number in range(1, settings.get("rounds", 1) + 1):
        messages = [
            Message(
                RecordDict({"parameters": ArrayRecord([parameters])}),
                dst_node_id=node,
                message_type="train",
                group_id=str(number),
            )
            for node in nodes
        ]
        answers = [
            {"node": answer.metadata.src_node_id, "error": answer.error.reason}
            if answer.has_error()
            else {
                "silo": answer.content.metric_records["figures"]["silo"],
                "right": bool(
                    np.allclose(
                        answer.content.array_records["parameters"].to_numpy_ndarrays()[0] - parameters,
                        int(str(answer.content.metric_records["figures"]["silo"])) + 1,
                    )
                ),
            }
            for answer in grid.send_and_receive(messages, timeout=settings.get("timeout", 60))
        ]
        said.append(answers)
    Path(str(context.run_config["results"]), "said.json").write_text(json.dumps(said))
