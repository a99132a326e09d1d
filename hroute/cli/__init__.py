"""The terminal: one module a command, and one place where errors become exit codes."""
