"""The few exceptions that are not plain `ValueError` or `TypeError`; each is also a builtin."""

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """Data that a model or a likelihood cannot take."""


class ArtifactError(OSError):
    """A file or directory of a model that cannot be written, read or trusted."""


class ResumeMismatch(ValueError):
    """A checkpoint that does not belong to the run that asks for it."""


class NumericalError(FloatingPointError):
    """Training that has left the finite numbers."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a sentence with the names nearest to `name`, or "" when none is near.

    Example:
    >>> did_you_mean("Bernouli", ["Normal", "Bernoulli"])
    " Did you mean 'Bernoulli'?"
    """
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(by_lower[n]) for n in near)}?" if near else ""
