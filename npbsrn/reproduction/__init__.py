"""The paper's tables: their rows are trained, judged, and printed beside the paper's figures."""
