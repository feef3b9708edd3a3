"""Time and bytes of a checkpoint of a model with ten million parameters, trained by Adam.

    python benchmarks/checkpoint.py

It prints what a checkpoint takes on the disk, and the time that one costs: read from the device,
written, synchronised, hashed and renamed; and read back and checked.
"""

import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np

import tfvae

NUM_ROWS, BATCH_SIZE, UNITS, LATENT_SIZE, REPEATS = 1_024, 128, 1_980, 50, 5


class Timed(tfvae.callbacks.Checkpoint):
    """Keeps the seconds that each save takes."""

    seconds: list[float] = []

    def _save(self) -> None:
        start = time.perf_counter()
        super()._save()
        self.seconds.append(time.perf_counter() - start)


def main() -> None:
    """Trains for some steps, saves at each, and reads the last one back."""
    rng = np.random.default_rng(0)
    x = (rng.random((NUM_ROWS, 784)) < 0.3).astype("float32")
    vae = tfvae.recipes.vae((784,), latent_size=LATENT_SIZE, units=(UNITS, UNITS - 300), seed=0)
    vae.compile(keras.optimizers.Adam(1e-3))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Timed(folder, every_n_steps=1)
        vae.fit(x[: REPEATS * BATCH_SIZE], batch_size=BATCH_SIZE, verbose=0, callbacks=[checkpoint])
        newest = max(pathlib.Path(folder).glob("checkpoint-*"))
        size = sum(path.stat().st_size for path in newest.iterdir())
        start = time.perf_counter()
        checkpoint._store.newest()
        read = time.perf_counter() - start
    print(f"{vae.count_params():,} parameters, with Adam's slots")
    print(f"checkpoint: {size / 1e6:.1f} MB")
    print(f"save: {statistics.median(checkpoint.seconds):.2f} s, median of {REPEATS + 1}")
    print(f"read and check: {read:.2f} s")


if __name__ == "__main__":
    main()
