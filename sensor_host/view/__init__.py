"""The plot window, a process of its own: it hears a session over MQTT or opens a recording (docs/view.md)."""
