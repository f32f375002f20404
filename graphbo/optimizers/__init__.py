"""Optimisers behind one ask/tell contract."""
