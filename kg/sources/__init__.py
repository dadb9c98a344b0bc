"""Texts and the evidence that claims cite: reading Vietnamese figures and names, verifying anchors."""
