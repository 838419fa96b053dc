"""Pictures as files and in memory.

In the order in which a file passes through them: ``opening`` finds its kind; ``reading`` (with ``png``, ``deep`` and
``colour``) turns it into a `picture.Picture`, and ``metadata`` (with ``directory``) what it says into its tags;
``fitting`` converts it to what the target's format (``formats``) holds; ``alpha`` fills the colour under transparent
pixels; ``writing`` writes the result, with the tags as ``embedding`` has them for the format. ``frames`` and
``animation`` (with ``muxing`` and ``palette``) do the same for files of several pictures.
"""
