"""Measuring codecs: clips, protocols, metrics, anchors, sweeps and reports."""
