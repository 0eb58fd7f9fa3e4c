"""The workbench: a command line over one resource graph."""
