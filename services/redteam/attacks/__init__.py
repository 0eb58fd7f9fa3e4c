"""The attacks, one a module, each with the paper that it comes from."""
