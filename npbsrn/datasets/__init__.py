"""Folders of pictures: what their names say, and pairs of LR and HR."""
