"""Client certificates against real servers."""
