"""Logs in: one module a format."""
