"""作る: recipe → corpus → tokenizer → train → adapt. No database; files in, files out."""
