"""Pictures of which only some rows are in memory at a time: read from top to bottom, and written so."""
