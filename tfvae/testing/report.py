"""What came of the checks of a model."""

from typing import NamedTuple

from tfvae.testing.laws import CheckFailed


class Check(NamedTuple):
    """One law and what came of it.

    Attributes:
        name: Name of the law.
        passed: Whether the model keeps it.
        message: What went wrong, "" if nothing.
        expected: Why it was expected to fail, or None.
        seconds: How long it took.
    """

    name: str
    passed: bool
    message: str
    expected: str | None
    seconds: float

    @property
    def is_fine(self) -> bool:
        """Whether it came as expected."""
        return self.passed == (self.expected is None)

    @property
    def status(self) -> str:
        """One word: passed, FAILED, expected or UNEXPECTED."""
        words = {(True, True): "passed", (False, True): "expected", (True, False): "UNEXPECTED"}
        return words.get((self.passed, self.is_fine), "FAILED")


class Report(tuple):
    """Checks in the order in which they ran; printed, a table."""

    __slots__ = ()

    @property
    def failed(self) -> list[Check]:
        """Checks that did not come as expected, those that passed against expectation too."""
        return [c for c in self if not c.is_fine]

    def raise_failures(self) -> "Report":
        """Returns the report, or raises if a check did not come as expected.

        Raises:
            CheckFailed: With all that failed.
        """
        if self.failed:
            lines = [f"{len(self.failed)} of {len(self)} checks failed."]
            lines += [f"{c.name}: {c.message or f'passed, not {c.expected}'}" for c in self.failed]
            raise CheckFailed("\n".join(lines))
        return self

    def __str__(self) -> str:
        width = max((len(c.name) for c in self), default=0)
        lines = []
        for c in self:
            reason = next(iter((c.message or c.expected or "").splitlines()), "")[:160]
            lines.append(f"{c.status:10}  {c.name:{width}}  {c.seconds:6.2f} s  {reason}".rstrip())
        total = f"{len(self) - len(self.failed)} of {len(self)} checks as expected"
        return "\n".join([*lines, total])
