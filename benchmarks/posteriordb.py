"""Variational posteriors beside the reference draws of posteriordb, and beside its peers.

    TFVAE_DATA=<folder with posteriordb/> python benchmarks/posteriordb.py [--peers tfp numpyro]
        [--models kidiq_momiq ...] [--families full_rank ...] [--environments FOLDER]

For each model and family: the largest error of a posterior mean, in posterior standard deviations;
the smallest and the largest ratio of standard deviations; k-hat; the verdict; seconds. All with
default settings. The peers, TFP's `fit_surrogate_posterior` on the same joint and NumPyro's
automatic guides on the same model in a virtual environment that this script makes, have Adam 1e-2,
as many gradient evaluations, and no other help. Models can be run one at a time: each prints rows
of the one table. What a fit says against itself goes to the standard error.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import environments  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tensorflow_probability as tfp  # noqa: E402

from tfvae import vi  # noqa: E402

tfd, tfb = tfp.distributions, tfp.bijectors
FLAT = 1e4  # scale of priors that stand for flat ones
FAMILIES = ("mean_field", "full_rank", "low_rank", "flow")
NUM_DRAWS = 20_000
NUM_SAMPLES = 16  # draws a step of a peer; its steps take as many gradients in all
COLUMNS = ("model", "family", "mean error, sd", "sd ratio", "k-hat", "converged", "gradients", "s")
PEERS = ("tfp", "numpyro")
OPERATORS = {"mean_field": "diag", "full_rank": "tril"}  # of TFP's families
GUIDES = {
    "mean_field": "AutoNormal",
    "full_rank": "AutoMultivariateNormal",
    "low_rank": "AutoLowRankMultivariateNormal",
    "flow": "AutoBNAFNormal",
}


class Ordered(tfd.Sample):
    """Independent draws on the half of the space where they ascend."""

    def _default_event_space_bijector(self):
        return tfb.Ascending()


def eight_schools(data, centred):
    """Eight schools; see posteriordb."""
    sigma, y = np.float32(data["sigma"]), np.float32(data["y"])

    def model():
        mu = yield tfd.Normal(0.0, 5.0, name="mu")
        tau = yield tfd.HalfCauchy(0.0, 5.0, name="tau")
        if centred:
            theta = yield tfd.Sample(tfd.Normal(mu, tau), len(y), name="theta")
        else:
            raw = yield tfd.Sample(tfd.Normal(0.0, 1.0), len(y), name="raw")
            theta = mu + tau * raw
        yield tfd.Normal(theta, sigma, name="y")

    def reference(draws):
        if not centred:
            draws = draws | {"theta": draws["mu"][:, None] + draws["tau"][:, None] * draws["raw"]}
        return {k: draws[k] for k in ("mu", "tau", "theta")}

    return model, {"y": y}, reference


def regression(data, columns):
    """Linear regression of children's scores."""
    features = {
        "one": np.ones(data["N"]),
        "hs": np.array(data["mom_hs"], float),
        "iq": np.array(data["mom_iq"], float),
    }
    features["hs*iq"] = features["hs"] * features["iq"]
    x = np.stack([features[c] for c in columns], axis=1).astype("float32")

    def model():
        beta = yield tfd.Sample(tfd.Normal(0.0, FLAT), x.shape[1], name="beta")
        sigma = yield tfd.HalfCauchy(0.0, 2.5, name="sigma")
        yield tfd.Normal(tf.linalg.matvec(x, beta), sigma, name="y")

    return model, {"y": np.float32(data["kid_score"])}, dict


def autoregression(data):
    """An AR(5) process."""
    y, lags = np.float32(data["y"]), data["K"]
    x = np.stack([y[lags - k : -k] for k in range(1, lags + 1)], axis=1)

    def model():
        alpha = yield tfd.Normal(0.0, 10.0, name="alpha")
        beta = yield tfd.Sample(tfd.Normal(0.0, 10.0), lags, name="beta")
        sigma = yield tfd.HalfCauchy(0.0, 2.5, name="sigma")
        yield tfd.Normal(alpha + tf.linalg.matvec(x, beta), sigma, name="y")

    return model, {"y": y[lags:]}, dict


def garch(data):
    """A GARCH(1, 1) process; the recurrence of the variances is a sum of powers of beta1."""
    y, first = np.float32(data["y"]), data["sigma1"] ** 2
    power = np.arange(len(y))[:, None] - 1 - np.arange(len(y) - 1)
    mask = (power >= 0).astype("float32")
    power = np.maximum(power, 0).astype("float32")
    times = np.arange(len(y), dtype="float32")

    def model():
        mu = yield tfd.Normal(0.0, FLAT, name="mu")
        alpha0 = yield tfd.HalfNormal(FLAT, name="alpha0")
        alpha1 = yield tfd.Beta(1.0, 2.0, name="alpha1")  # with the next line: flat on a triangle
        beta1 = yield tfd.Uniform(0.0, 1.0 - alpha1, name="beta1")
        news = alpha0 + alpha1 * tf.square(y[:-1] - mu)
        powers = mask * tf.exp(power * tf.math.log(beta1))
        variance = tf.linalg.matvec(powers, news) + first * tf.exp(times * tf.math.log(beta1))
        yield tfd.Normal(mu, tf.sqrt(variance), name="y")

    return model, {"y": y}, dict


def mixture(data):
    """Two Gaussians."""
    y = np.float32(data["y"])

    def model():
        mu = yield Ordered(tfd.Normal(0.0, 2.0), 2, name="mu")
        sigma = yield tfd.Sample(tfd.HalfNormal(2.0), 2, name="sigma")
        theta = yield tfd.Beta(5.0, 5.0, name="theta")
        parts = tfd.Categorical(probs=tf.stack([theta, 1.0 - theta], axis=-1))
        one = tfd.MixtureSameFamily(parts, tfd.Normal(mu, sigma))
        yield tfd.Sample(one, len(y), name="y")

    return model, {"y": y}, dict


MODELS = {
    "eight_schools_noncentered": (
        "eight_schools",
        "eight_schools-eight_schools_noncentered",
        lambda d: eight_schools(d, centred=False),
    ),
    "eight_schools_centered": (
        "eight_schools",
        "eight_schools-eight_schools_noncentered",
        lambda d: eight_schools(d, centred=True),
    ),
    "kidiq_momiq": ("kidiq", "kidiq-kidscore_momiq", lambda d: regression(d, ["one", "iq"])),
    "kidiq_interaction": (
        "kidiq",
        "kidiq-kidscore_interaction",
        lambda d: regression(d, ["one", "hs", "iq", "hs*iq"]),
    ),
    "arK": ("arK", "arK-arK", autoregression),
    "garch11": ("garch", "garch-garch11", garch),
    "gauss_mix": ("low_dim_gauss_mix", "low_dim_gauss_mix-low_dim_gauss_mix", mixture),
}


def read(path):
    """Returns the one JSON document in a zip file."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(archive.namelist()[0]))


def reference_draws(path):
    """Returns draws by label, [10000]."""
    chains = read(path)
    return {k: np.concatenate([c[k] for c in chains]) for k in chains[0]}


def by_label(draws):
    """Returns draws by posteriordb's labels, which count from one."""
    flat = {}
    for name, values in draws.items():
        for index in np.ndindex(values.shape[1:]):
            label = f"{name}[{','.join(str(i + 1) for i in index)}]" if index else name
            flat[label] = values[(slice(None), *index)]
    return flat


def errors(draws, reference):
    """Returns the largest error of a mean in sds, and the range of the ratios of sds."""
    draws = by_label(draws)
    means = [abs(draws[k].mean() - r.mean()) / r.std() for k, r in reference.items()]
    ratios = [draws[k].std() / r.std() for k, r in reference.items()]
    return max(means), min(ratios), max(ratios)


def tfp_draws(joint, data, family, num_steps, seed):
    """Draws of TFP's surrogate posterior, and the seconds that it took."""
    import tf_keras  # TFP's helper wants an optimizer of that world, which TFP brings along

    start = time.perf_counter()
    pinned = joint.experimental_pin(**data)
    q = tfp.experimental.vi.build_affine_surrogate_posterior(
        pinned.event_shape,
        operators=OPERATORS[family],
        bijector=pinned.experimental_default_event_space_bijector(),
    )
    tfp.vi.fit_surrogate_posterior(
        pinned.unnormalized_log_prob,
        q,
        optimizer=tf_keras.optimizers.Adam(1e-2),
        num_steps=num_steps,
        sample_size=NUM_SAMPLES,
        seed=[0, seed],
    )
    draws = q.sample(NUM_DRAWS, seed=[1, seed])._asdict()
    return {k: v.numpy() for k, v in draws.items()}, time.perf_counter() - start


def numpyro_draws(python, model, data_path, family, num_steps, seed):
    """Draws of NumPyro's guide, and the seconds that it took."""
    worker = Path(__file__).parent / "peers" / "numpyro_worker.py"
    with tempfile.TemporaryDirectory() as scratch:
        output = os.path.join(scratch, "draws.npz")
        numbers = [str(n) for n in (num_steps, NUM_SAMPLES, NUM_DRAWS, seed)]
        arguments = [model, str(data_path), GUIDES[family], *numbers, output]
        done = subprocess.run(
            [python, str(worker), *arguments], stdout=subprocess.PIPE, text=True, check=True
        )
        with np.load(output) as draws:
            return dict(draws), json.loads(done.stdout.splitlines()[-1])["seconds"]


def print_row(*cells):
    """Prints a row of the table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def measured(draws, reference):
    """Returns the cells of the errors."""
    mean, low, high = errors(draws, reference)
    return f"{mean:.3f}", f"{low:.2f} to {high:.2f}"


def measure(name, root, options):
    """Prints the rows of one model."""
    data_name, reference_name, make = MODELS[name]
    data_path = root / f"data/data/{data_name}.json.zip"
    model, data, derived = make(read(data_path))
    reference = reference_draws(
        root / f"reference_posteriors/draws/draws/{reference_name}.json.zip"
    )
    joint = tfd.JointDistributionCoroutineAutoBatched(model)
    for family in options.families:
        start = time.perf_counter()
        fit = vi.fit(joint, data, surrogate=family, seed=options.seed, verbose=0)
        seconds = time.perf_counter() - start
        verdict = f"{fit.pareto_k:.2f}", "yes" if fit.converged else "no"
        cells = measured(derived(fit.sample(NUM_DRAWS)), reference)
        print_row(name, family, *cells, *verdict, fit.gradients, f"{seconds:.1f}")
        for reason in fit.reasons:
            print(f"{name}, {family}: {reason}", file=sys.stderr, flush=True)
        steps, peers = fit.gradients // NUM_SAMPLES, {}
        if "tfp" in options.peers and family in OPERATORS:
            peers[f"TFP, {family}"] = lambda f=family, n=steps: tfp_draws(
                joint, data, f, n, options.seed
            )
        if "numpyro" in options.peers:
            python = environments.python_of("numpyro", options.environments.absolute())
            peers[f"NumPyro, {GUIDES[family]}"] = lambda p=python, f=family, n=steps: numpyro_draws(
                p, name, data_path, f, n, options.seed
            )
        for label, run in peers.items():
            draws, seconds = run()
            cells = measured(derived(draws), reference)
            print_row(name, label, *cells, "", "", NUM_SAMPLES * steps, f"{seconds:.1f}")


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--environments", type=Path, default=environments.DEFAULT, metavar="FOLDER")
    options = parser.parse_args()
    if not os.environ.get("TFVAE_DATA"):
        parser.error("set TFVAE_DATA to the folder that holds posteriordb/.")
    keras.utils.disable_interactive_logging()
    print_row(*COLUMNS)
    print_row(*["---"] * len(COLUMNS))
    for name in options.models:
        measure(name, Path(os.environ["TFVAE_DATA"]) / "posteriordb", options)


if __name__ == "__main__":
    main()
