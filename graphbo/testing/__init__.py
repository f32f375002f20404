"""Conformance suites that every part passes and users can run on their own."""
