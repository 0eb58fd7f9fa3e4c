"""The red team: attacks a candidate before it may serve, and signs what it found."""
