"""Everything of hipdrive that touches the world: radio, files, broker, sound, console."""

__version__ = "0.1.0"
