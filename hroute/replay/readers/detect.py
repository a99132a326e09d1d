"""Which format a log is in: what its first line says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hroute.errors import UsageError
from hroute.replay.readers import claude_code
from hroute.replay.readers.jsonl import STDIN, Log, objects
from hroute.replay.rows import BadLine

_LINES = 20  # of the first file, until one says what it is


def opened(paths: Sequence[str], columns: Mapping[str, str] | None = None) -> Log:
    """The log at `paths`; a folder is one of Claude Code's transcripts. Raises UsageError where nothing is there."""
    files = [file for path in paths for file in (claude_code.files_below(path) if Path(path).is_dir() else [path])]
    if paths and not files:
        raise UsageError(
            f"there is no *.jsonl in {paths[0]}", help="give a log, or a folder of Claude Code's transcripts"
        )
    log = Log(files, columns)
    if columns is None and files and files[0] != STDIN and _is_of_claude_code(log):
        return claude_code.Transcripts(files)
    return log


def _is_of_claude_code(log: Log) -> bool:
    for path, stream in log.streams():
        for number, entry in enumerate(objects(stream, path)):
            if not isinstance(entry, BadLine):
                return claude_code.is_transcript(entry[1])
            if number >= _LINES:
                return False
    return False
