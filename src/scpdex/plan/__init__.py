"""Plan: pure arithmetic from matrix, test and machine to a strategy, gene blocks and their memory; touches no data."""
