"""What a graph is traced for, by which a distribution chooses the fastest way to its numbers."""

import contextlib
import contextvars
from collections.abc import Iterator

_is_for_xla = contextvars.ContextVar("tfvae_is_for_xla", default=False)
_generator = contextvars.ContextVar("tfvae_generator", default="philox")


@contextlib.contextmanager
def tracing_for_xla(generator: str = "philox") -> Iterator[None]:
    """Says that what is traced within is compiled by XLA.

    Args:
        generator: Algorithm of normal draws: "philox", which gives the same numbers without XLA, or
            "threefry", which only XLA has. On a CPU XLA needs 11 ns for a word of Philox, a tenth
            of that for one of Threefry.
    """
    tokens = _is_for_xla.set(True), _generator.set(generator)
    try:
        yield
    finally:
        _is_for_xla.reset(tokens[0])
        _generator.reset(tokens[1])


def is_for_xla() -> bool:
    """Whether XLA compiles what is being traced."""
    return _is_for_xla.get()


def generator() -> str:
    """Returns the algorithm of normal draws."""
    return _generator.get()
