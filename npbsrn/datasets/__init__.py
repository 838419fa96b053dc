"""Folders of pictures: what their names mean, and pairs of LR and HR."""
