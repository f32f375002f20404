"""PyTorch Geometric encoders of labelled directed acyclic graphs."""
