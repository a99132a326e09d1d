"""Beside the package, so that pytest finds it also where nobody has installed it."""
