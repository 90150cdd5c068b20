"""Sinks: what takes what the session says."""
