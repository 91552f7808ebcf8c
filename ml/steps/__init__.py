"""One file per step of the night: read what stands to the left, compute, write one thing."""
