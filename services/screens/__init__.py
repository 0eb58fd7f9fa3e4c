"""Screens of what comes in, before a model sees it: pure functions, each of which says why it objects."""
