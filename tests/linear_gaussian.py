"""A linear-Gaussian VAE, whose evidence, posterior and ELBO are known in closed form.

p(z) = N(0, I), p(x | z) = N(x | W z + b, sigma**2 I), q(z | x) = N(z | A x + c, diag(s**2)).
Everything here but the model is float64 numpy.
"""

from typing import NamedTuple

import keras
import numpy as np

import tfvae


class Parameters(NamedTuple):
    """The parameters of model and posterior; W is [D, K], A is [K, D]."""

    w: np.ndarray
    b: np.ndarray
    sigma: float
    a: np.ndarray
    c: np.ndarray
    s: np.ndarray


def random_parameters(seed=0, dimensions=6, latents=2):
    """Parameters with a posterior that is near the exact one, but is not it."""
    rng = np.random.default_rng(seed)
    p = Parameters(
        w=rng.normal(size=(dimensions, latents)),
        b=rng.normal(size=dimensions),
        sigma=0.7,
        a=np.zeros((latents, dimensions)),
        c=np.zeros(latents),
        s=np.ones(latents),
    )
    a, c, covariance = exact_posterior(p)
    near = 0.1 * rng.normal(size=a.shape)
    return p._replace(a=a + near, c=c + 0.1, s=1.2 * np.sqrt(np.diag(covariance)))


def exact_posterior(p):
    """Returns A, c and the covariance of the exact posterior N(z | A x + c, S)."""
    precision = np.eye(p.w.shape[1]) + p.w.T @ p.w / p.sigma**2
    covariance = np.linalg.inv(precision)
    a = covariance @ p.w.T / p.sigma**2
    return a, -a @ p.b, covariance


def log_evidence(p, x):
    """Returns log N(x | b, W W' + sigma**2 I), [N]."""
    return log_normal(x, p.b, p.w @ p.w.T + p.sigma**2 * np.eye(len(p.b)))


def log_normal(x, mean, covariance):
    """Returns log N(x | mean, covariance), [N]."""
    d = x - mean
    _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (np.einsum("ni,ij,nj->n", d, np.linalg.inv(covariance), d) + log_det)


def kl_to_prior(p, x):
    """Returns KL[q(z | x) || N(0, I)], [N]."""
    m = x @ p.a.T + p.c
    return 0.5 * np.sum(m**2 + p.s**2 - 1 - 2 * np.log(p.s), axis=1)


def kl_to_posterior(p, x):
    """Returns KL[q(z | x) || p(z | x)], [N]."""
    a, c, covariance = exact_posterior(p)
    precision = np.linalg.inv(covariance)
    d = x @ (p.a - a).T + p.c - c
    _, log_det = np.linalg.slogdet(covariance)
    trace = np.sum(np.diag(precision) * p.s**2)
    quadratic = np.einsum("ni,ij,nj->n", d, precision, d)
    return 0.5 * (trace + quadratic - len(p.s) + log_det - 2 * np.sum(np.log(p.s)))


def elbo(p, x):
    """Returns E_q[log p(x | z)] - KL[q(z | x) || p(z)], [N]."""
    m = x @ p.a.T + p.c
    error = np.sum((x - m @ p.w.T - p.b) ** 2, axis=1) + np.sum((p.w * p.s) ** 2)
    d = x.shape[1]
    log_likelihood = -0.5 * (error / p.sigma**2 + d * np.log(2 * np.pi * p.sigma**2))
    return log_likelihood - kl_to_prior(p, x)


def model(dimensions, latents, objective=None, seed=0):
    """Returns an untrained, built VAE of this form with one learned sigma and s for all rows."""
    vae = tfvae.VAE(
        encoder=tfvae.Conditional(
            keras.layers.Identity(),
            tfvae.Head("Normal", (latents,), shared={"scale": (latents,)}),
        ),
        decoder=tfvae.Conditional(
            keras.layers.Identity(), tfvae.Head("Normal", (dimensions,), shared={"scale": ()})
        ),
        objective=objective,
        seed=seed,
    )
    vae.build((None, dimensions))
    return vae


def set_parameters(vae, p):
    """Gives the model these parameters."""
    encoder, decoder = vae.encoder.head, vae.decoder.head
    encoder.projection.set_weights([p.a.T, p.c])
    decoder.projection.set_weights([p.w.T, p.b])
    for head, scale in ((encoder, p.s), (decoder, p.sigma)):
        to_real = head._family.free["scale"].constrain.inverse
        head.weights_by_name["scale"].assign(to_real(np.asarray(scale, "float32")))


def get_parameters(vae):
    """Returns the model's parameters, as its own distributions give them."""
    k, d = vae.latent_shape[0], vae.event_shape[0]
    zero, eye = np.zeros((1, d), "float32"), np.eye(d, dtype="float32")
    q = vae.encode(zero)
    c = q.mean().numpy()[0].astype("float64")
    b = vae.decode(np.zeros((1, k), "float32")).mean().numpy()[0].astype("float64")
    w = vae.decode(np.eye(k, dtype="float32"))
    return Parameters(
        w=w.mean().numpy().T - b[:, None],
        b=b,
        sigma=float(w.stddev().numpy()[0, 0]),
        a=vae.encode(eye).mean().numpy().T - c[:, None],
        c=c,
        s=q.stddev().numpy()[0].astype("float64"),
    )


def ppca(x, latents):
    """Returns probabilistic PCA's maximum-likelihood parameters (Tipping and Bishop, 1999)."""
    b = x.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    variance = values[latents:].mean()
    w = vectors[:, :latents] * np.sqrt(values[:latents] - variance)
    p = Parameters(
        w, b, np.sqrt(variance), np.zeros(w.T.shape), np.zeros(latents), np.ones(latents)
    )
    a, c, covariance = exact_posterior(p)
    return p._replace(a=a, c=c, s=np.sqrt(np.diag(covariance)))
