"""PyTorch Geometric encoders of labelled directed acyclic graphs."""

from graphbo.embeddings.asynchronous import AsynchronousEncoder
from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.encoder import Encoder
from graphbo.embeddings.encoders import ENCODERS, make_encoder
from graphbo.embeddings.message_passing import GCNEncoder, GINEncoder
from graphbo.embeddings.transformer import TransformerEncoder

__all__ = [
    "ENCODERS",
    "AsynchronousEncoder",
    "Encoder",
    "GCNEncoder",
    "GINEncoder",
    "GraphBatch",
    "TransformerEncoder",
    "make_encoder",
]
