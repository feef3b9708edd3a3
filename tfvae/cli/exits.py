"""How a command ends when something is wrong."""

from tfvae.errors import DataError, NumericalError, ResumeMismatch

# The first that fits counts: a `DataError` is also a `ValueError`.
EXIT_CODES = {
    DataError: 3,
    NumericalError: 5,
    ResumeMismatch: 6,
    OSError: 4,
    ValueError: 2,
    TypeError: 2,
    ImportError: 2,
}


class Interrupted(KeyboardInterrupt):
    """A training that was stopped and saved.

    Attributes:
        command: What goes on with it.
    """

    def __init__(self, command: str):
        super().__init__(f"interrupted; the training is saved. Go on with: {command}")
        self.command = command


def describe(error: Exception) -> tuple[str, str, int]:
    """Returns an error's name, its message in one line, and the exit code.

    Example:
    >>> describe(DataError("`x` must be finite."))
    ('DataError', '`x` must be finite.', 3)
    """
    name, message = type(error).__name__, " ".join(str(error).split())
    for kind, code in EXIT_CODES.items():
        if isinstance(error, kind):
            return name, message or name, code
    return name, f"{name}: {message[:500]} Fix: --debug shows where it comes from.", 1
