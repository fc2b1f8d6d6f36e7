"""Personal and confidential data in Japanese text: found by rules, then masked, replaced by pseudonyms, or reported.

    finder = Finder(config, base_folder)
    for text, findings in zip(texts, finder.find(texts, letters(texts))):
        acted = act(text, findings, config, key)

A compiled loop (`scan`) looks at every character for what `lexicon` lists and hands on few places; plain Python
(`numbers`, `network`, `names`, `addresses`, `dates`, `tables`) looks at those with care.
"""
