"""What must exist in an account before the first ``pulumi up``: state, its keys, and who deploys."""
