"""A page about the fits of an output folder, which opens from its file in a browser."""

from smplifyx.report.writer import DETAILED, WrittenReport, write_report

__all__ = ["DETAILED", "WrittenReport", "write_report"]
