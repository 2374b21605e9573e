"""The machine-level floor of the compiler on processors: machines, explicit vectors, elementary functions, products."""
