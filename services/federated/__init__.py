"""Federated learning: data stay in their silos, encrypted parameters travel, one signed candidate comes out.

A server (Flower's SuperLink, with the ServerApp beside it) and silos (a SuperNode each, with the ClientApp beside it) are
processes of their own; TLS carries what goes between them, and the server admits nodes whose public key an operator
registered. A silo runs an app that a trusted entity signed, and no other.

What the apps are told, and by whom:

- run config, by the operator at submission: ``settings``, the JSON text of ``services.federated.settings.Settings``;
- node config, by the silo at start: ``partition-id`` and ``num-partitions``, whole numbers, and ``silo-store``, the folder
  of the silo's data, which are encrypted (``services.federated.silo_store``).
"""
