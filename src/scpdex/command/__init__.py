"""Command: ``scpdex rank``, ``plan``, ``table`` and ``compile`` in a shell, with the arguments of the public verbs."""

from scpdex.command._main import main

__all__ = ["main"]
