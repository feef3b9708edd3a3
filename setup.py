"""Packaging metadata; `pyproject.toml` holds the build backend and the settings of the tools."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# A floor is the version that was tested: `constraints.txt` pins the whole set.
REQUIREMENTS = [
    # TensorFlow Probability imports tf-keras, each release of which fits one minor version of
    # TensorFlow: the three move together.
    "tensorflow>=2.21,<2.22",
    "tensorflow-probability[tf]>=0.25,<0.26",
    # Below 4: a minor release of Keras keeps its public interface and the `.keras` format, and a
    # tighter cap would shut users out of its fixes. A major one may change `train_step` and saving.
    "keras>=3.15.1,<4",
    # Below 2.4: TensorFlow Probability 0.25 calls `np.reshape(newshape=...)`, which 2.4 removed, so
    # that `Pad` and the bijectors of the simplex and the sphere cannot be constructed there.
    "numpy>=2.3,<2.4",
    # TensorFlow Probability imports `distutils`, which Python 3.12 dropped and setuptools provides.
    "setuptools; python_version>='3.12'",
]

EXTRAS = {
    "plots": ["matplotlib>=3.11"],
    "data": ["scikit-learn>=1.9"],
    "cli": ["rich>=15.0", "typer>=0.29"],
    # The converter in TensorFlow, the interpreter and the quantizer are a set that was tested.
    "litert": ["ai-edge-litert==2.3.0", "ai-edge-quantizer==0.10.0"],
    "vi": ["arviz>=0.23"],
    "serving": ["tensorflow-serving-api>=2.21,<2.22"],  # the messages of a client
}

TEST = [
    "hypothesis>=6.170",
    "pandas>=2.3",
    "pytest>=9.2",
    "pytest-cov>=7.1",
    "pytest-xdist>=3.8",
    "ruff>=0.17.6,<0.18",  # the formatter's style may change with each minor release
    "selenium>=4.51",
]


def version() -> str:
    """Reads `__version__` without importing the package, which needs TensorFlow."""
    source = (ROOT / "tfvae" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"', source, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError('`tfvae/__init__.py` must hold a line `__version__ = "X.Y.Z"`.')
    return match.group(1)


def long_description() -> str:
    """The README, where there is one."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


setup(
    name="tfvae",
    version=version(),
    description="Variational auto-encoders and variational inference on TensorFlow and Keras 3",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="The tfvae maintainers",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords="variational auto-encoder, variational inference, generative model, keras, tensorflow",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Mathematics",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["tfvae", "tfvae.*"]),
    py_modules=["tfvae_cli"],  # outside the package, so that `tfvae --help` needs no TensorFlow
    package_data={"tfvae": ["py.typed"], "tfvae.export": ["page/*"]},
    install_requires=REQUIREMENTS,
    extras_require={
        **EXTRAS,
        "all": [requirement for extra in EXTRAS.values() for requirement in extra],
        "test": TEST,
    },
    entry_points={"console_scripts": ["tfvae = tfvae_cli:main"]},
)
