"""Tests of the services, each run in the service's own environment."""
