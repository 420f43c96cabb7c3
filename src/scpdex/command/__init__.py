"""Command: what the program ``scpdex`` does in a terminal."""
