"""What exists in an account and no stack owns."""
