"""Results -> boards, ranks and comparisons. Reads the store; runs nothing and imports no torch."""
