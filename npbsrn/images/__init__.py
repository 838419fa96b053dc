"""Pictures as files and in memory.

In the order in which a file passes through them: ``reading`` (with ``png``, ``deep`` and ``colour``) turns it into a
`picture.Picture`; ``alpha`` fills the colour under transparent pixels; ``writing`` fits the result to a format
(``formats``) and writes it.
"""
