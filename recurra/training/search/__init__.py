"""Learning without gradients: the floors that every other learner has to be compared with.

guessing.py     weights drawn until some do
evolution.py    a distribution of weights that moves to where the better draws were
"""
