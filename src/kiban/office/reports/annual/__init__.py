"""The annual report: a fiscal year's figures, in Japanese and English, as a page or as PDF."""

from kiban.office.reports.annual.render import annual_html, annual_pdf

__all__ = ["annual_html", "annual_pdf"]
