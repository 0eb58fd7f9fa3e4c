"""Adds the silo's number to the parameters, or does what the settings say is wrong."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answer once."""
    silo = int(context.node_config["partition-id"])
    settings = json.loads(str(context.run_config["settings"]))
    Path(str(context.node_config["silo-store"]), "ran").write_text(str(context.run_id))
    if settings.get("dies") == silo and message.metadata.group_id == str(settings["round"]):
        # The silo goes in mid-round: its node with it, since the supervisor takes all down with one.
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)
    arrays = [array + (silo + 1) for array in message.content.array_records["parameters"].to_numpy_ndarrays()]
    return Message(
        RecordDict({"parameters": ArrayRecord(arrays), "figures": MetricRecord({"silo": silo})}),
        reply_to=message,
    )
