"""A study as one HTML page."""

from graphbo.report.page.document import write_report

__all__ = ["write_report"]
