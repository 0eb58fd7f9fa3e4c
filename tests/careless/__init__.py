"""A platform that a careless forker might write, and the proof that every mistake in it is caught."""
