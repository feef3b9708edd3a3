"""How long `fit` takes to its first program of steps, beyond the steps: tracing and compiling.

    python benchmarks/first_step.py [--networks small wide conv] [--rounds 5]

Plain Keras and tfvae, with XLA and without, are started anew in every round, in turn, and train two
epochs of as many rows as tfvae puts into one program. What the first epoch took beyond the second
is the time; the table gives medians, and the median over rounds of the ratio to plain Keras with
the same choice of XLA.
"""

import argparse
import os
import statistics
import sys
import tempfile

import numpy as np
from throughput import PEERS, Peer

ROWS = {"small": 45 * 128, "wide": 22 * 128, "conv": 8 * 128}
PAIRS = {"off": ("plain Keras", "tfvae, no XLA"), "on": ("plain Keras, XLA", "tfvae, XLA")}


def start_up(name, network, data):
    """Returns the seconds that a new process takes for its first epoch beyond its second."""
    _, worker, options = PEERS[name]
    peer = Peer(name, sys.executable, worker, options, network, data)
    try:
        peer.run_epoch()
        peer.run_epoch()
    finally:
        peer.close()
    return peer.start_up


def main():
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| network | XLA | plain Keras, s | tfvae, s | ratio |\n|---|---|---|---|---|")
    for network in options.networks:
        with tempfile.TemporaryDirectory() as scratch:
            data = os.path.join(scratch, "x.npy")
            x = np.random.default_rng(0).random((ROWS[network], 784)) < 0.2
            np.save(data, x.astype("float32"))
            for xla, pair in PAIRS.items():
                rounds = [
                    [start_up(name, network, data) for name in pair] for _ in range(options.rounds)
                ]
                plain, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
                ratio = statistics.median(b / a for a, b in rounds)
                print(f"| {network} | {xla} | {plain:.2f} | {ours:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
