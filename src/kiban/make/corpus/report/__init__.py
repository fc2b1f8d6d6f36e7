"""What a corpus run says about itself: report.json for programs, report.html and report.md for people.

report = make_report(config, tallies, notes, remark)   # report.json; report["totals"] are the manifest's stats
as_page(files, report, name)                            # report.html
as_markdown(report)                                     # report.md
"""

from kiban.make.corpus.report.contents import make_report, make_stats, nothing_kept, read_report, summary
from kiban.make.corpus.report.markdown import as_markdown
from kiban.make.corpus.report.page import as_page

__all__ = ["as_markdown", "as_page", "make_report", "make_stats", "nothing_kept", "read_report", "summary"]
