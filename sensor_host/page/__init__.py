"""The phone page: a small web server, a process of its own, and the host's end of it."""
