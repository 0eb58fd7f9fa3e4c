"""What can be built: one Pulumi component, or one close family, per module."""
