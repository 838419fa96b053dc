"""Files that are written whole, nested parameters, weight files and models."""
