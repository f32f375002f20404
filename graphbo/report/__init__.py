"""Regret curves, summaries and drawings."""
