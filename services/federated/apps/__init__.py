"""The two apps that Flower runs: the server's and the silos'."""
