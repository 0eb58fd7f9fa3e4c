"""Makes a fork one's own: questions, answers checked at once, and the environment files that follow from them."""
