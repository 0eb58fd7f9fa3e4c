"""What services have in common: errors, tokens, the audit chain, addresses, keys."""
