"""Training throughput of tfvae's `fit` and of its peers, alternating on the same machine.

    python benchmarks/throughput.py [--networks small wide conv] [--rounds 5] [--peers NAME ...]

Each peer is a process of its own (`peers/`), which trains an epoch when told to while the others
wait. JAX, PyTorch and pythae live in virtual environments that this script makes. The table gives
the median and best examples per second of an epoch, the median over rounds of the ratio to the best
plain Keras and to JAX, the time that the first epoch took beyond a later one (tracing, compiling),
and the peak memory of the process.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import environments
import numpy as np

HERE = pathlib.Path(__file__).parent
ROWS = {"small": 60_000, "wide": 60_000, "conv": 6_000}
PEERS = {  # name -> virtual environment, worker and its options
    "plain Keras": (None, "keras_worker.py", ["plain", "no-xla"]),
    "plain Keras, XLA": (None, "keras_worker.py", ["plain", "xla"]),
    "tfvae": (None, "keras_worker.py", []),
    "tfvae, no XLA, K=1": (None, "keras_worker.py", ["no-xla", "1"]),
    "tfvae, no XLA": (None, "keras_worker.py", ["no-xla"]),
    "tfvae, XLA": (None, "keras_worker.py", ["xla"]),
    "JAX scan": ("jax", "jax_worker.py", []),
    "PyTorch": ("torch", "torch_worker.py", []),
    "pythae": ("torch", "pythae_worker.py", []),
}
BASELINES = {"Keras": ("plain Keras", "plain Keras, XLA"), "JAX": ("JAX scan",)}
BASELINES["PyTorch"] = ("PyTorch",)


class Peer:
    """A waiting process."""

    def __init__(self, name, python, worker, options, network, data):
        environment = os.environ | {"PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.name, self.epochs = name, []
        self._process = subprocess.Popen(
            [python, str(HERE / "peers" / worker), network, data, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def run_epoch(self):
        """Trains one epoch."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                self.epochs.append(json.loads(line))
                return
        raise RuntimeError(f"{self.name} stopped with code {self._process.wait()}.")

    def close(self):
        """Ends the process."""
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait()

    @property
    def rates(self):
        """Examples per second of all epochs but the first."""
        return [e["rows"] / e["seconds"] for e in self.epochs[1:]]

    @property
    def start_up(self):
        """Seconds of the first epoch beyond those of a later one."""
        return self.epochs[0]["seconds"] - statistics.median(e["seconds"] for e in self.epochs[1:])


def measure(network, names, rounds, folder):
    """Returns the peers with their epochs."""
    x = (np.random.default_rng(0).random((ROWS[network], 784)) < 0.2).astype("float32")
    with tempfile.TemporaryDirectory() as scratch:
        data = os.path.join(scratch, "x.npy")
        np.save(data, x)
        peers = []
        try:
            for name in names:
                environment, worker, options = PEERS[name]
                python = environments.python_of(environment, folder)
                peers.append(Peer(name, python, worker, options, network, data))
                peers[-1].run_epoch()
            for number in range(rounds):
                for peer in peers[number % 2 :] + peers[: number % 2]:
                    peer.run_epoch()
        finally:
            for peer in peers:
                peer.close()
    return peers


def ratio(peer, peers, baseline):
    """Returns the median over rounds of a peer's rate to the baseline's, "" without one."""
    rates = [p.rates for p in peers if p.name in BASELINES[baseline]]
    if not rates:
        return ""
    best = max(rates, key=statistics.median)
    return f"{statistics.median(a / b for a, b in zip(peer.rates, best, strict=True)):.2f}"


def main():
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument(
        "--environments", type=pathlib.Path, default=environments.DEFAULT, metavar="FOLDER"
    )
    options = parser.parse_args()
    for network in options.networks:
        peers = measure(network, options.peers, options.rounds, options.environments.absolute())
        print(
            f"\n| {network}: examples/s | median | best | to Keras | to JAX | to PyTorch ", end=""
        )
        print("| start-up, s | peak, MB |\n|---|---|---|---|---|---|---|---|")
        for peer in peers:
            ratios = " | ".join(ratio(peer, peers, b) for b in BASELINES)
            print(
                f"| {peer.name} | {statistics.median(peer.rates):,.0f} | {max(peer.rates):,.0f} "
                f"| {ratios} | {peer.start_up:.1f} | {peer.epochs[-1]['megabytes']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
