"""The user's mistakes, each told in one sentence: what, got, expected, how to fix.

The command line prints the sentence and exits with 2; everything else that is raised is a bug and shows its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Something the user can put right: a key, a name, a file, a full disk."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean 'sigma'?` for the choice most like `word`, or '' if none is like it."""
    by_folded = {choice.casefold(): choice for choice in choices}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[matches[0]]!r}?" if matches else ""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} could not be written: {_refusal(error)}") from error


def _refusal(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and try again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "the folder is read-only for you; choose one that you can write"
    return f"{error.strerror or error}; check that the folder exists and can be written"
