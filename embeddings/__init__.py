"""PyTorch Geometric encoders of labelled directed acyclic graphs, and their pretraining."""

from graphbo.embeddings.asynchronous import AsynchronousEncoder
from graphbo.embeddings.batching import GraphBatch
from graphbo.embeddings.card import card_text
from graphbo.embeddings.checkpoint import fingerprint, load, save, shipped, versions
from graphbo.embeddings.encoder import Encoder
from graphbo.embeddings.encoders import ENCODERS, make_encoder
from graphbo.embeddings.message_passing import GCNEncoder, GINEncoder
from graphbo.embeddings.objectives import OBJECTIVES, Objective
from graphbo.embeddings.pretrained import Predictor, Pretrained
from graphbo.embeddings.pretraining import Settings, pretrain
from graphbo.embeddings.tasks import Better, Task
from graphbo.embeddings.transformer import TransformerEncoder

__all__ = [
    "ENCODERS",
    "OBJECTIVES",
    "AsynchronousEncoder",
    "Better",
    "Encoder",
    "GCNEncoder",
    "GINEncoder",
    "GraphBatch",
    "Objective",
    "Predictor",
    "Pretrained",
    "Settings",
    "Task",
    "TransformerEncoder",
    "card_text",
    "fingerprint",
    "load",
    "make_encoder",
    "pretrain",
    "save",
    "shipped",
    "versions",
]
