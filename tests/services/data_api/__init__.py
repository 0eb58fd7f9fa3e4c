"""Tests of the data-access API."""
