"""PyTorch Geometric encoders of labelled directed acyclic graphs."""

from graphbo.embeddings.encoder import GraphEncoder

__all__ = ["GraphEncoder"]
