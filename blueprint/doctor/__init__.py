"""What is missing on this machine for which task, and what to do about it."""
