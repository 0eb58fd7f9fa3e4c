"""Tests of the attacks: each finds what was planted, and does not find it elsewhere."""
