"""The time of `import tfvae` against that of what it stands on, and of `tfvae --help`.

    python benchmarks/import_time.py [--rounds 7]

Every figure is the wall time of a fresh Python process, start and end included. The processes
alternate; the table gives medians, and the median of the ratios within a round. Target: 1.3.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

BASELINE, OURS, HELP = "keras + tfp.distributions", "tfvae", "tfvae --help"
COMMANDS = {
    BASELINE: ["-c", "import keras, tensorflow_probability.python.distributions"],
    OURS: ["-c", "import tfvae"],
    HELP: ["-m", "tfvae_cli", "--help"],
}


def seconds(arguments):
    """Returns how long a process takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for arguments in COMMANDS.values():
        seconds(arguments)  # reads the files from the disk, and writes their byte code
    times = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    for name, values in times.items():
        print(f"{name:26s} {statistics.median(values):6.2f} s (min {min(values):.2f})")
    ratios = [ours / base for ours, base in zip(times[OURS], times[BASELINE], strict=True)]
    print(f"{'ratio':26s} {statistics.median(ratios):6.2f}")


if __name__ == "__main__":
    main()
