"""From a model to an enlarged picture."""
