"""One data set in three parts: to train on, to choose by, to report on."""

import dataclasses
import hashlib

import numpy as np

from tfvae.data.numeric import as_float32, as_labels
from tfvae.errors import DataError

PARTS = ("train", "valid", "test")
_CLEAN = {"x": as_float32, "labels": as_labels, "condition": as_float32}


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """Training, validation and test examples of one data set.

    Numbers are converted to float32 and keep their values; labels become int64.

    Args:
        name: What the data are called in reports.
        x_train: Finite numbers, [N, ...].
        x_valid: Of the same event shape.
        x_test: Of the same event shape.
        labels_train: Integers [N], or None. A VAE does not see them; pictures and scores do.
        labels_valid: As `labels_train`; either all three are given or none.
        labels_test: As `labels_train`.
        condition_train: Numbers [N, C] that a conditional model is given, or None.
        condition_valid: As `condition_train`; either all three are given or none.
        condition_test: As `condition_train`.

    Raises:
        DataError: An array is not what it should be, or one does not fit the others.

    Example:
    >>> Splits("noise", *np.random.default_rng(0).random((3, 10, 4))).event_shape
    (4,)
    """

    name: str
    x_train: np.ndarray
    x_valid: np.ndarray
    x_test: np.ndarray
    labels_train: np.ndarray | None = None
    labels_valid: np.ndarray | None = None
    labels_test: np.ndarray | None = None
    condition_train: np.ndarray | None = None
    condition_valid: np.ndarray | None = None
    condition_test: np.ndarray | None = None

    def __post_init__(self) -> None:
        for field, clean in _CLEAN.items():
            names = [f"{field}_{part}" for part in PARTS]
            given = [name for name in names if getattr(self, name) is not None]
            if not given and field != "x":
                continue
            if len(given) < len(names):
                raise DataError(
                    f"`{field}` must be given for all of train, valid and test, or for none. "
                    f"Received: {field}={', '.join(given)} alone. "
                    f"Fix: add the missing parts or remove these."
                )
            for part, name in zip(PARTS, names, strict=True):
                value = clean(getattr(self, name), name)
                object.__setattr__(self, name, value)
                _check_rows(name, value, len(getattr(self, f"x_{part}")))
                first = getattr(self, names[0])
                if value.shape[1:] != first.shape[1:]:
                    raise DataError(
                        f"`{name}` must have the columns of `{names[0]}`, {first.shape[1:]}. "
                        f"Received: {name}={value.shape}. "
                        f"Fix: give the three parts the same columns."
                    )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.x_train.shape[1:]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every array, in the order of the fields; the name does not count."""
        names = [field.name for field in dataclasses.fields(self)]
        return fingerprint(*(getattr(self, name) for name in names if name != "name"))


def split(
    name: str,
    x: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    condition: np.ndarray | None = None,
    sizes: tuple[int, int] | None = None,
    seed: int = 0,
) -> Splits:
    """Splits examples at random, the same way for the same seed; stratified where there are labels.

    Args:
        name: What the data are called in reports.
        x: Examples, [N, ...].
        labels: Integers [N]; each part then holds its share of every class.
        condition: [N, C], split along.
        sizes: Numbers of validation and of test examples; a tenth of N each by default.
        seed: Seed of the permutation.

    Returns:
        The parts; every example is in exactly one.

    Raises:
        DataError: A part would be empty, or an array is not what it should be.

    Example:
    >>> split("line", np.zeros((50, 1))).x_test.shape
    (5, 1)
    """
    fields = {
        field: _CLEAN[field](value, field)
        for field, value in (("x", x), ("labels", labels), ("condition", condition))
        if value is not None
    }
    for field, value in fields.items():
        _check_rows(field, value, len(fields["x"]))
    x = fields["x"]
    num_valid, num_test = sizes or (max(1, len(x) // 10),) * 2
    if min(num_valid, num_test) < 1:
        raise DataError(
            "`sizes` must be two positive numbers of examples, for validation and test. "
            f"Received: sizes={sizes}. Fix: leave it out for a tenth each."
        )
    if num_valid + num_test >= len(x):
        raise DataError(
            f"`x` must have more than {num_valid + num_test} examples, so that training, "
            f"validation and test each get one. Received: x={x.shape}. Fix: give more examples."
        )
    order = np.random.default_rng(seed).permutation(len(x))
    if labels is not None:
        order = order[_spread_classes(fields["labels"][order])]
    rows = np.split(order, [num_test, num_test + num_valid])[::-1]  # train, valid, test
    parts = {
        f"{field}_{part}": value[index]
        for field, value in fields.items()
        for part, index in zip(PARTS, rows, strict=True)
    }
    return Splits(name, **parts)


def _check_rows(name: str, value: np.ndarray, num_rows: int) -> None:
    if len(value) != num_rows:
        raise DataError(
            f"`{name}` must have {num_rows} rows, one for each example. "
            f"Received: {name}={value.shape}. Fix: pair every example with its own."
        )


def _spread_classes(labels: np.ndarray) -> np.ndarray:
    """Order in which every run of examples holds each class in proportion."""
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(position, kind="stable")


def fingerprint(*arrays: np.ndarray | None) -> str:
    """SHA-256 over the shape, type and bytes of arrays, the same on every machine.

    Args:
        arrays: Numeric arrays; None stands for an absent one and counts as such.

    Returns:
        64 hexadecimal digits.

    Example:
    >>> fingerprint(np.zeros(3, "float32"))[:8] != fingerprint(np.zeros(3, "int32"))[:8]
    True
    """
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"None;")
            continue
        array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()
