"""`report.html`: one file that opens anywhere, offline, and is meant to be read by a person."""

from tunesmith.run.report.page import write_report

__all__ = ["write_report"]
