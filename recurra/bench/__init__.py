"""Speed beside other libraries: the same recurrence, weights and inputs, in turns, in one process."""
