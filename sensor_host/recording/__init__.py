"""Recordings: what arrived, as it came, in an MCAP file (docs/recording.md)."""
