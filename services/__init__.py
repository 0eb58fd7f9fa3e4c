"""What runs on the platform: programs that import nothing of the rest and carry their own dependencies."""
