"""PyTorch modules built from an architecture."""
