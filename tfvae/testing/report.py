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
        has_run: Whether it could be run at all.
    """

    name: str
    passed: bool
    message: str
    expected: str | None
    seconds: float
    has_run: bool = True

    @property
    def is_fine(self) -> bool:
        """Whether it came as expected."""
        return self.has_run and self.passed == (self.expected is None)

    @property
    def status(self) -> str:
        """What to print: passed, FAILED, expected, UNEXPECTED or not run."""
        if not self.has_run:
            return "not run"
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
            lines = [f"{sum(c.has_run for c in self.failed)} of {len(self)} checks failed."]
            lines += [
                f"{c.name}: {c.message or f'passed, not {c.expected}'}"
                for c in self.failed
                if c.has_run
            ]
            if left_out := sum(not c.has_run for c in self):
                lines.append(f"{left_out} checks were not run.")
            raise CheckFailed("\n".join(lines))
        return self

    def __str__(self) -> str:
        width = max((len(c.name) for c in self), default=0)
        lines = []
        for c in self:
            reason = " ".join((c.message or c.expected or "").split())[:160]
            lines.append(f"{c.status:10}  {c.name:{width}}  {c.seconds:6.2f} s  {reason}".rstrip())
        total = f"{len(self) - len(self.failed)} of {len(self)} checks as expected"
        return "\n".join([*lines, total])
