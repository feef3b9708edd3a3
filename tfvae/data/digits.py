"""Handwritten digits that come with scikit-learn: real images without a download."""

import numpy as np

from tfvae.data.splits import Splits, split


def digits(*, binarize: bool = True, seed: int = 0) -> Splits:
    """Loads 1797 handwritten digits of 8 x 8 pixels (Alpaydin & Kaynak, 1998).

    Args:
        binarize: True: a pixel is 1 where its grey value, 0 to 16, is 8 or more, else 0. The
            threshold is fixed, so the data are the same at every call. False: grey values
            divided by 16.
        seed: Seed of the permutation that splits the images, stratified by digit.

    Returns:
        1297 training, 200 validation and 300 test images, float32 [N, 8, 8, 1] in [0, 1], with the
        digits 0 to 9 as labels.

    Raises:
        ImportError: scikit-learn is absent.

    Example:
    >>> digits().x_train.shape
    (1297, 8, 8, 1)
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "`digits` must have scikit-learn, whose images it loads. Received: scikit-learn=None. "
            'Fix: pip install "tfvae[data]".'
        ) from error

    bunch = datasets.load_digits()
    grey = bunch.images[..., np.newaxis]
    x = (grey >= 8 if binarize else grey / 16).astype("float32")
    return split("digits", x, labels=bunch.target.astype("int64"), sizes=(200, 300), seed=seed)
