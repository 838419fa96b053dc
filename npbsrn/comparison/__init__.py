"""One picture, enlarged by several models: side by side in a panel, or one before another on a page."""
