"""Evasion: messages that people read and machines do not, through the screen of the gateway (Boucher et al., "Bad Characters", IEEE S&P 2022)."""
