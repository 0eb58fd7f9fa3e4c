"""The sections of the settings: one module for each topic, a frozen model for each key of a stack file."""
