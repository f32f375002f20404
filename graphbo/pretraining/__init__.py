"""Pretraining of encoders on what is cheap about the architectures of a space."""

from graphbo.pretraining.proxies import PROXIES, proxy_tasks
from graphbo.pretraining.run import pretrain_on
from graphbo.pretraining.tables import Column, table_task

__all__ = ["PROXIES", "Column", "pretrain_on", "proxy_tasks", "table_task"]
