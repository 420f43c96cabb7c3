"""Compatibility: functions of other packages, on this engine."""
