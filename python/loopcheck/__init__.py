"""loopcheck: finds out whether an event loop keeps the rules of an event loop."""

__version__ = "0.1.0"
