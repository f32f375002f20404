"""Acquisition functions and how they are maximised over discrete spaces."""
