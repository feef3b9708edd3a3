"""Data by a short name, as the command line takes them."""

import os
import pathlib

from tfvae.data.arrays import load_arrays
from tfvae.data.digits import digits
from tfvae.data.idx import mnist
from tfvae.data.splits import Splits
from tfvae.errors import DataError, did_you_mean

_FORMS = ("digits", "mnist", "mnist:FOLDER", "FILE.npy", "FILE.npz")


def load(spec: str | os.PathLike, seed: int = 0) -> Splits:
    """Loads data by name.

    Args:
        spec: "digits" (binary); "mnist:FOLDER", or "mnist" for the folder `mnist` in the one that
            the environment variable `TFVAE_DATA` names; or the path of an `.npy` or `.npz` file.
        seed: Seed of the split, where the data do not come with one; MNIST does.

    Returns:
        The data in three parts.

    Raises:
        DataError: The form is unknown, or "mnist" stands alone and `TFVAE_DATA` is not set, or
            the files are not what they should be.
        FileNotFoundError: A file is absent.

    Example:
    >>> load("digits").name
    'digits'
    """
    spec = os.fspath(spec)
    name, _, folder = spec.partition(":")
    if spec == "digits":
        return digits(seed=seed)
    if spec == "mnist":
        return mnist(_outside_data() / "mnist")
    if name == "mnist" and folder:
        return mnist(pathlib.Path(folder).expanduser())  # no shell expands ~ after a colon
    if spec.endswith((".npy", ".npz")):
        return load_arrays(spec, seed=seed)
    raise DataError(
        f"`spec` must be one of {', '.join(_FORMS)}. Received: spec={spec!r}."
        f"{did_you_mean(name, ['digits', 'mnist'])} Fix: give one of these forms."
    )


def _outside_data() -> pathlib.Path:
    folder = os.environ.get("TFVAE_DATA")
    if not folder:
        raise DataError(
            "`spec` must name a folder as mnist:FOLDER while the environment variable TFVAE_DATA "
            "is not set. Received: spec='mnist'. Fix: give mnist:FOLDER, or set TFVAE_DATA to "
            "the folder that holds `mnist`."
        )
    return pathlib.Path(folder)
