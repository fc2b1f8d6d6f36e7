"""`kiban recipe init`: a first recipe for a folder of documents, sized by how much text is there."""

from __future__ import annotations

from pathlib import Path

from kiban.kit.errors import BadInput
from kiban.make.corpus.config import Source
from kiban.make.corpus.sources import SourceFile, find_files

TEMPLATE = """\
# yaml-language-server: $schema=recipe.schema.json
# {name} のレシピ / a recipe. 実行 / run:  kiban make {file}
name: "{name}"
seed: 1

corpus:
  sources:
    - name: {source}
      path: {path}
      owner: {owner}            # 権利者 / who holds the rights
      licence: {licence}        # SPDX など / SPDX identifier where there is one
      uses: [train, evaluate]   # 許諾された用途 / what the owner cleared it for
  repair: {{}}                    # 文字化け、改行、句読点を直す / mend wrong decodings, cut lines, mixed punctuation
  quality: {{profile: kiban}}     # 文章でないものを外す / leave out what is no prose; every reason is in report.html
  privacy: {{}}                   # 個人情報と秘密を伏せる / mask personal data and secrets
  duplicates: {{}}                # 同じ文書、ほぼ同じ文書を除く / leave out copies and near copies
  heldout_fraction: {heldout}   # 学習に使わず評価に使う割合 / share kept for evaluation

{start}
training:
  tokens: {tokens}
  seq_len_tokens: {seq_len}
  learning_rate: {rate}

evaluation:
  samples:
    max_new_tokens: 80
  # tasks:                      # 多肢選択の課題 (JSONL: id, prompt, choices, answer) / multiple choice
  #   - name: quiz
  #     path: quiz.jsonl

card:
  intended_use: null            # 何のためのモデルか / what it is for
  limits: []
"""

SCRATCH = """\
tokenizer:
  vocab_size: {vocab_size}

model:
  shape:
    depth: {depth}              # 層数。幅は 64 x depth / layers; the width is 64 x depth
"""

BASE = """\
model:
  base:                         # 既存モデルからの継続事前学習 / continued pretraining
    model: {model}
    owner: {owner}
    licence: {licence}
"""


def starter_recipe(
    folder: Path, recipe_path: Path, *, owner: str, licence: str, base: str | None, base_licence: str | None
) -> str:
    """YAML of a first recipe for the documents in `folder`.

    From scratch, tokens and depth follow the amount of text: about four epochs (Muennighoff et al., 2023: repeats
    up to four are nearly as good as new text) and the deepest shape that gets 20 tokens per parameter from that
    (Hoffmann et al., 2022), but at least 4 layers, so that a small archive gives a small model in minutes.

    Raises:
        BadInput: no folder, or nothing in it that kiban reads.
    """
    if not folder.is_dir():
        raise BadInput("there is no such folder", where=str(folder))
    source = Source(
        name=folder.name or "documents", path=str(folder.absolute()), owner=owner, licence=licence, uses=("train",)
    )
    text_bytes = sum(file.bytes for file in find_files(source, folder) if isinstance(file, SourceFile))
    tokens = max(200_000, 4 * text_bytes // 4)  # four epochs; Japanese UTF-8 has about 4 bytes per token
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in folder.name).strip("-")
    name = name or "model"
    if base:
        start = BASE.format(model=quoted(base), owner="FILL IN", licence=quoted(base_licence or "FILL IN"))
    else:
        # parameters of the dial: about 12 x depth x (64 x depth)^2 without embeddings
        depth = max(4, min(32, round((tokens / 20 / (12 * 64**2)) ** (1 / 3))))
        start = SCRATCH.format(vocab_size=4_096 if text_bytes < 5_000_000 else 16_384, depth=depth)
    try:
        path = str(folder.absolute().relative_to(recipe_path.absolute().parent))
    except ValueError:
        path = str(folder.absolute())
    return TEMPLATE.format(
        name=name,
        file=recipe_path.name,
        source=quoted(source.name),
        path=quoted(path),
        owner=quoted(owner),
        licence=quoted(licence),
        heldout=0.05 if text_bytes < 5_000_000 else 0.02,
        start=start,
        tokens=tokens,
        seq_len=256 if text_bytes < 5_000_000 else 512,
        rate="1.0e-4" if base else "2.0e-3",
    )


def quoted(text: str) -> str:
    """A YAML double-quoted scalar: whatever a folder is called, it stays one string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
