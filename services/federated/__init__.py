"""Federated learning: data stay in their silos, encrypted parameters travel, one signed candidate comes out.

A server (Flower's SuperLink, with the ServerApp beside it) and silos (a SuperNode each, with the ClientApp beside it) are
processes of their own; TLS carries what goes between them, and the server admits nodes whose public key an operator
registered. A silo runs an app that a trusted entity signed, and no other.

What the apps are told, and by whom:

- run config, by the operator at submission: ``settings``, the JSON text of ``services.federated.settings.Settings``, and
  ``results``, a folder of the server into which the ServerApp writes; where that is empty, ``FEDERATED_RESULTS`` in the
  server's environment names it. ``FEDERATED_SECURE_AGGREGATION=required`` there refuses a run without it;
- node config, by the silo at start: ``partition-id`` and ``num-partitions``, whole numbers; ``silo-store``, the folder of
  the silo's data, which are encrypted (``silo_store.opened(folder).examples()``); and ``silo-terms``, a file with the JSON
  text of the ``Settings`` that the silo agreed to. The ClientApp reads those, and answers no run whose settings are others:
  what the server says of protection binds nobody.

What the ServerApp leaves in ``results``:

- ``rounds.jsonl``, a line after every round: ``{"round": 1, "silos": 3, "loss": 0.5, "accuracy": 0.9, "epsilon": 1.2,
  "delta": 1e-5, "bytes": 12345, "seconds": 2.5}``; ``epsilon`` and ``delta`` are null where nothing is accounted for;
- ``model.safetensors``, the parameters at the end (``models.py`` makes the ONNX graph of them); then, as the last file,
  ``result.json``: ``{"stopped": "rounds" | "budget", "privacy": {…as modelchain's Privacy…}, "statement": "one or two
  sentences for the card on what the federation reveals to whom"}``. A run that failed leaves ``failed.txt``, one sentence.
"""
