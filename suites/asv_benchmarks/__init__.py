"""asv's benchmark directory: thin adapters over the latency suite."""
