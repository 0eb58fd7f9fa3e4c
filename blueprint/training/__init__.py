"""The whole way of a model on this machine: from rows in a database to an answer, each service by itself."""
