"""Recurra: learning from sequences with recurrent networks."""
