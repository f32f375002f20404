"""Evaluators: table look-up, real training, plain functions."""
