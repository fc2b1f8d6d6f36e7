"""Duplicates of all kinds, and texts that a corpus must not hold.

What the curate phase writes for each shard, in one item (see `items`):

- the texts, an Arrow IPC (or Parquet) file with a column `text`, one row for each document, in record batches of
  about a megabyte: candidates are read one at a time, and a batch is what is decompressed for one;
- `fingerprints.npz`: `fingerprints(letters, sha256, ranks, sources, shingle_characters).write(folder / FILE)`. `ranks`
  decide which of several duplicates stays, the lowest; `sources` are the numbers of the documents' sources, by which
  boilerplate is counted.

What it does itself, document by document: `Protected(items, characters).contaminated(letters, min_share)`.

Then `phases.find_duplicates(shards, config, folder, executor_map, key, known)` finds, over all shards and in bounded
memory, exact duplicates, near duplicates (`minhash`, `clusters`), documents of known corpora (`against`), passages
that several documents have (`passages`) and lines that a source puts on many (`boilerplate`). It returns `Found`:
`found.verdicts(shard)` has, for each row, `rule(row)` ("" or what drops it: duplicate, near_duplicate,
repeated_passage), `of[row]` (number of the document that stays, `shard << 32 | row`; `found.known(number)` names it if
it is of a known corpus), `similarity[row]`, and `edits(row)` (what is cut out of a document that stays).
"""
