"""The inference gateway: serves signed models to known callers, screens what goes in, hardens what comes out."""
