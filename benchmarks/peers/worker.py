"""What every peer's process does: train an epoch when told to, and say how fast it was.

The three networks, the same in every library: Bernoulli pixels, diagonal Gaussian posterior, Adam
1e-3, batches of 128, rows in a new order each epoch.

    small   784-400-50-400-784
    wide    784-512-512-32-512-512-784
    conv    28x28, 3x3 kernels of stride 2 with 32 and 64 filters, latent 16, and its mirror image
"""

import json
import resource
import sys
import time

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
UNITS = {"small": (400,), "wide": (512, 512)}
LATENT_SIZE = {"small": 50, "wide": 32, "conv": 16}
FILTERS = (32, 64)


def arguments():
    """Returns network, rows [N, 784] or [N, 28, 28, 1], and the options of the command line."""
    import numpy as np

    network, path, *options = sys.argv[1:]
    x = np.load(path)
    return network, x.reshape(-1, 28, 28, 1) if network == "conv" else x, options


def wait():
    """Returns when the next epoch may begin; ends the process when there is none."""
    if sys.stdin.readline().strip() != "go":
        sys.exit(0)


def report(rows, seconds):
    """Tells how long an epoch of so many rows took."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"rows": rows, "seconds": seconds, "megabytes": memory}), flush=True)


def serve(epoch):
    """Runs `epoch()`, which returns the number of rows trained on, whenever told to."""
    while True:
        wait()
        start = time.perf_counter()
        rows = epoch()
        report(rows, time.perf_counter() - start)
