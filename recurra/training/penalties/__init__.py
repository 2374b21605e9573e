"""What training pays for besides its loss: weights that are large, and errors that vanish on their way back."""
