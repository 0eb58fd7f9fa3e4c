"""The chain from a trained model to one that serves: what a model is, who vouched for it, and how that is checked."""
