"""Engines that hold a dataset and answer SPARQL: the common protocol, the embedded engine and its optimizer."""
