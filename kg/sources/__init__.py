"""Texts of sources and the evidence in them: read Vietnamese figures, fold names for comparison, verify anchors."""
