"""Virtual environments of the peers that do not live beside TensorFlow."""

import pathlib
import subprocess
import sys
import venv

DEFAULT = pathlib.Path(__file__).parent / ".environments"
PACKAGES = {
    "jax": ["jax"],
    "numpyro": ["numpyro"],
    "torch": ["torch", "numpy", "pythae"],
}


def python_of(name, folder):
    """Returns the interpreter of a virtual environment, which is made if need be."""
    if name is None:
        return sys.executable
    python = folder / name / "bin" / "python"
    if not python.exists():
        print(f"Installing {', '.join(PACKAGES[name])} into {folder / name}", file=sys.stderr)
        venv.create(folder / name, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
    return str(python)
