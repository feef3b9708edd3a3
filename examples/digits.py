"""A walk through tfvae on handwritten digits, in cells for an editor or a notebook.

    python examples/digits.py [--epochs 40] [--out runs/digits]

Each `# %%` begins a cell; `jupytext --to notebook examples/digits.py` makes a notebook of them.
"""

# %% Settings
import argparse
import pathlib

import keras
import numpy as np

import tfvae
from tfvae import evaluation, networks, objectives, plots, schedules

LATENT_SIZE, BATCH_SIZE, LEARNING_RATE, SEED = 8, 32, 2e-3, 0

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/digits"))
options, _ = parser.parse_known_args()  # a notebook has arguments of its own
options.out.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(SEED)  # of initial weights, and of the order in which `fit` shuffles

# %% 1. Data
# Arrays, in three parts: to train on, to choose by, to report on. Pixels are 0 or 1.
digits = tfvae.data.digits()
x, x_test = digits.x_train, digits.x_test
print(f"1. {digits.name}: {x.shape} {x.dtype}, labels {np.unique(digits.labels_train)}")

# %% 2. Model
# The encoder gives q(z | x), the decoder p(x | z): each is a network, which may be any of Keras,
# and a head, which names a distribution of TensorFlow Probability. The prior is N(0, I).
# `beta` multiplies the KL in the loss; here it rises to 1 in the first 400 steps.
vae = tfvae.VAE(
    encoder=tfvae.Conditional(networks.mlp([256, 256]), tfvae.Head("Normal", (LATENT_SIZE,))),
    decoder=tfvae.Conditional(
        networks.mlp([256, 256]), tfvae.Head("Bernoulli", digits.event_shape)
    ),
    objective=objectives.ELBO(beta=schedules.Linear(0.1, 1.0, steps=400)),
    seed=SEED,
)

# %% 3. Training
# It is a Keras model. There is no loss to choose, and there are no targets to give.
vae.compile(keras.optimizers.Adam(LEARNING_RATE))
history = vae.fit(
    x,
    batch_size=BATCH_SIZE,
    epochs=options.epochs,
    validation_data=digits.x_valid,
    verbose=0,
).history
print("3. last epoch:", {name: round(values[-1], 2) for name, values in history.items()})
plots.training_curves(history).savefig(options.out / "training.png")

# Labels would be ignored, so they are refused, as are most other slips, in one sentence:
try:
    vae.fit(x, digits.labels_train)
except ValueError as error:
    print(f"   {error}")

# %% 4. Numbers
# All are nats per example, summed over the pixels, so that beta = 1 is the evidence lower bound.
# Every call gives the same numbers, and leaves the model as it was.
metrics = vae.evaluate(x_test, verbose=0, return_dict=True)
print("4. test:", {name: round(value, 2) for name, value in metrics.items()})

# The ELBO lies below log p(x). Importance sampling closes the gap, and says how well it did.
evidence = evaluation.log_evidence(vae, x_test, num_samples=1000)
bits = evaluation.bits_per_dimension(evidence.log_evidence.mean(), digits.event_shape)
print(
    f"   log-evidence {evidence.log_evidence.mean():.2f} nats or {bits:.3f} bits per pixel; "
    f"standard errors up to {evidence.standard_error.max():.2f} nats"
)

# %% 5. Distributions
# `encode` and `decode` return distributions, with all that TensorFlow Probability knows of them.
q = vae.encode(x_test[:3])
p = vae.decode(q.mean())
print(f"5. q(z|x): means {q.mean().shape}, entropies {q.entropy().numpy().round(1)} nats")
print(f"   p(x|z): log-density of the data {p.log_prob(x_test[:3]).numpy().round(1)} nats")

# Calling the model gives what the objective sees: draws, with their log-densities.
draws = vae(x_test, num_samples=5)
print(f"   draws: z {draws.z.shape}, log-likelihood {draws.log_likelihood.shape}")
print(f"   KL by latent: {draws.kl_parts.numpy().mean(axis=0).round(2)}")

# %% 6. Pictures
# `predict` reconstructs, `generate` makes new examples, `embed` gives the posterior means.
plots.reconstructions(x_test, vae.predict(x_test, verbose=0)).savefig(
    options.out / "reconstructions.png"
)
plots.samples(vae.generate(30, seed=SEED)).savefig(options.out / "samples.png")
z = vae.embed(x_test)
plots.latent_map(z, labels=digits.labels_test).savefig(options.out / "latents.png")

# From each of four digits to another one, in a straight line between their latents. A figure is
# matplotlib's, to be changed as you like.
shares = np.linspace(0.0, 1.0, 11)[:, None]
path = np.concatenate([(1 - shares) * z[i] + shares * z[i + 4] for i in range(4)])
figure = plots.samples(vae.decode(path).mean(), columns=11)
figure.axes[0].set_title("From one digit to another", loc="left")
figure.savefig(options.out / "interpolation.png")

# %% 7. Files
# A `.keras` file goes on where training stopped, optimizer and schedules included. `export`
# writes a SavedModel, for which TensorFlow alone is enough; it never overwrites a version.
vae.save(options.out / "digits.keras")
loaded = keras.saving.load_model(options.out / "digits.keras")
again = loaded.evaluate(x_test, verbose=0, return_dict=True)
print(f"7. reloaded: ELBO {again['elbo']:.2f}, as before: {again == metrics}")
loaded.fit(x, batch_size=BATCH_SIZE, epochs=1, verbose=0)
print(f"   trained on, to step {int(loaded.optimizer.iterations)}")
print(f"   exported to {loaded.export(options.out / 'saved_model')}")

# %% 8. Another likelihood
# Grey values are no coin flips. A Normal with a learned scale, one for all pixels, is
# `shared={"scale": ()}`; `fixed={"scale": 0.1}` would be the textbook's constant.
grey = tfvae.data.digits(binarize=False)
gaussian = tfvae.VAE(
    encoder=tfvae.Conditional(networks.mlp([256, 256]), tfvae.Head("Normal", (LATENT_SIZE,))),
    decoder=tfvae.Conditional(
        networks.mlp([256, 256]), tfvae.Head("Normal", grey.event_shape, shared={"scale": ()})
    ),
    seed=SEED,
)
gaussian.compile(keras.optimizers.Adam(LEARNING_RATE))
gaussian.fit(grey.x_train, batch_size=BATCH_SIZE, epochs=options.epochs, verbose=0)
scale = float(gaussian.decode(np.zeros((1, LATENT_SIZE))).stddev().numpy().mean())
elbo = gaussian.evaluate(grey.x_test, verbose=0, return_dict=True)["elbo"]
print(f"8. grey values: scale {scale:.3f}, ELBO {elbo:.2f} nats (of a density: may be positive)")
plots.reconstructions(grey.x_test, gaussian.predict(grey.x_test, verbose=0)).savefig(
    options.out / "grey.png"
)

# %% 9. Another objective
# A model is cheap to make around layers that exist, which keep their weights. At beta = 2 the KL
# is dear: latents are given up, and the ELBO, which is always reported at beta = 1, falls.
compressed = tfvae.VAE(vae.encoder, vae.decoder, objective=objectives.ELBO(beta=2.0), seed=SEED)
compressed.compile(keras.optimizers.Adam(LEARNING_RATE))
compressed.fit(x, batch_size=BATCH_SIZE, epochs=max(1, options.epochs // 4), verbose=0)
after = compressed.evaluate(x_test, verbose=0, return_dict=True)
print(f"9. beta 1: ELBO {metrics['elbo']:.2f}, KL {metrics['kl']:.2f}")
print(f"   beta 2: ELBO {after['elbo']:.2f}, KL {after['kl']:.2f}")
