"""The posteriors of `posteriordb.py` in NumPyro, by an automatic guide and Adam 1e-2.

    python numpyro_worker.py MODEL DATA.json.zip GUIDE STEPS SAMPLES DRAWS SEED OUTPUT.npz

Writes draws of the latents by name, and prints the seconds that the guide took, compilation
included. Priors and coordinates are those of the joints in `posteriordb.py`.
"""

import json
import sys
import time
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, Trace_ELBO, autoguide

FLAT = 1e4


def eight_schools_noncentered(data):
    """Eight schools, with standardised effects."""
    sigma, y = jnp.array(data["sigma"], float), jnp.array(data["y"], float)
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    raw = numpyro.sample("raw", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1))
    numpyro.sample("y", dist.Normal(mu + tau * raw, sigma).to_event(1), obs=y)


def eight_schools_centered(data):
    """Eight schools, with the effects as they are."""
    sigma, y = jnp.array(data["sigma"], float), jnp.array(data["y"], float)
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([len(y)]).to_event(1))
    numpyro.sample("y", dist.Normal(theta, sigma).to_event(1), obs=y)


def regression(x, y):
    """Linear regression."""
    prior = dist.Normal(0.0, FLAT).expand([x.shape[1]]).to_event(1)
    beta = numpyro.sample("beta", prior)
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)


def kidiq_momiq(data):
    """Children's scores on their mothers'."""
    iq = jnp.array(data["mom_iq"], float)
    x = jnp.stack([jnp.ones_like(iq), iq], axis=1)
    regression(x, jnp.array(data["kid_score"], float))


def kidiq_interaction(data):
    """Children's scores on their mothers' and schooling."""
    iq, hs = jnp.array(data["mom_iq"], float), jnp.array(data["mom_hs"], float)
    x = jnp.stack([jnp.ones_like(iq), hs, iq, hs * iq], axis=1)
    regression(x, jnp.array(data["kid_score"], float))


def arK(data):
    """An AR(5) process."""
    y, lags = jnp.array(data["y"], float), data["K"]
    x = jnp.stack([y[lags - k : -k] for k in range(1, lags + 1)], axis=1)
    alpha = numpyro.sample("alpha", dist.Normal(0.0, 10.0))
    beta = numpyro.sample("beta", dist.Normal(0.0, 10.0).expand([lags]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(alpha + x @ beta, sigma).to_event(1), obs=y[lags:])


def garch11(data):
    """A GARCH(1, 1) process."""
    y = jnp.array(data["y"], float)
    mu = numpyro.sample("mu", dist.Normal(0.0, FLAT))
    alpha0 = numpyro.sample("alpha0", dist.HalfNormal(FLAT))
    alpha1 = numpyro.sample("alpha1", dist.Beta(1.0, 2.0))
    share = numpyro.sample("share", dist.Uniform(0.0, 1.0))
    beta1 = numpyro.deterministic("beta1", share * (1.0 - alpha1))

    def step(variance, y):
        return alpha0 + alpha1 * (y - mu) ** 2 + beta1 * variance, variance

    variance = jax.lax.scan(step, jnp.array(data["sigma1"] ** 2, float), y)[1]
    numpyro.sample("y", dist.Normal(mu, jnp.sqrt(variance)).to_event(1), obs=y)


def gauss_mix(data):
    """Two Gaussians."""
    y = jnp.array(data["y"], float)
    mu = numpyro.sample(
        "mu", dist.ImproperUniform(dist.constraints.ordered_vector, (), event_shape=(2,))
    )
    numpyro.factor("prior of mu", dist.Normal(0.0, 2.0).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
    parts = dist.Categorical(jnp.stack([theta, 1.0 - theta]))
    one = dist.MixtureSameFamily(parts, dist.Normal(mu, sigma))
    numpyro.sample("y", one.expand([len(y)]).to_event(1), obs=y)


def main():
    """Fits one guide."""
    name, path, guide, steps, samples, num_draws, seed, output = sys.argv[1:]
    model = {
        m.__name__: m
        for m in (
            arK,
            eight_schools_centered,
            eight_schools_noncentered,
            garch11,
            gauss_mix,
            kidiq_interaction,
            kidiq_momiq,
        )
    }[name]
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read(archive.namelist()[0]))
    train, draw = jax.random.split(jax.random.key(int(seed)))
    start = time.perf_counter()
    guide = getattr(autoguide, guide)(lambda: model(data))
    svi = SVI(
        lambda: model(data), guide, numpyro.optim.Adam(1e-2), Trace_ELBO(num_particles=int(samples))
    )
    state = svi.run(train, int(steps), progress_bar=False)
    draws = guide.sample_posterior(draw, state.params, sample_shape=(int(num_draws),))
    draws = {k: np.asarray(v) for k, v in draws.items()}
    print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
    np.savez(output, **draws)


if __name__ == "__main__":
    main()
