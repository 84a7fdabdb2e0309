"""A page about the fits of an output folder, which opens from its file in a browser."""

from smplifyx.report.writer import DETAILED, WrittenReport, is_of_this_version, write_report

__all__ = ["DETAILED", "WrittenReport", "is_of_this_version", "write_report"]
