"""Trains a model privately: screened data in, a signed candidate out, and a budget that is spent once."""
