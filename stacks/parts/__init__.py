"""The parts of the platform: one module for each, handed what it needs from the others."""
