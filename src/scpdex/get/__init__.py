"""Get: what can be known before and after the work."""

from scpdex.get._plan import plan

__all__ = ["plan"]
