"""Pictures as files and in memory.

In the order in which a file meets them: ``reading`` (with ``png``, ``deep`` and ``colour``) makes a `picture.Picture`
of it; ``alpha`` fills the colour under transparent pixels; ``writing`` fits the result to a format (``formats``) and
writes it.
"""
