"""What is built: the settings of each environment, and the composition of components that follows from them."""
