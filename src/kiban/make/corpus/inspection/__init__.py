"""`kiban corpus inspect`: what the curation of a recipe does to one document, step by step, and why.

found = inspect(recipe, base_folder, "a.jsonl:12", store=store)    # JSON values
print(as_text(found, plain))
"""

from kiban.make.corpus.inspection.document import inspect
from kiban.make.corpus.inspection.terminal import as_text, plain

__all__ = ["as_text", "inspect", "plain"]
