"""A conditional VAE: it draws the digit it is asked for, and tells which digit it is shown.

    python examples/conditional.py [--epochs 40] [--out runs/conditional]

Encoder and decoder see the class as a one-hot `condition`, [B, 10]. The latents need not say which
digit it is, and are left with how it is written.
"""

import argparse
import pathlib

import keras
import numpy as np

import tfvae
from tfvae import evaluation, plots

LATENT_SIZE, UNITS, BATCH_SIZE, LEARNING_RATE, SEED = 8, (256, 256), 32, 1e-3, 0
NUM_CLASSES, EVIDENCE_SAMPLES = 10, 100


def one_hot(labels):
    """Returns labels [N] as conditions [N, 10]."""
    return keras.utils.to_categorical(labels, NUM_CLASSES)


def main(epochs, out):
    """Trains with and without a condition, draws every digit, and classifies."""
    out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(SEED)  # of the order in which `fit` shuffles
    digits = tfvae.data.digits()
    train = {"x": digits.x_train, "condition": one_hot(digits.labels_train)}
    test = {"x": digits.x_test, "condition": one_hot(digits.labels_test)}

    settings = {"latent_size": LATENT_SIZE, "units": UNITS, "seed": SEED}
    models = {
        "unconditional": tfvae.recipes.vae(digits.event_shape, **settings),
        "conditional": tfvae.recipes.conditional_vae(digits.event_shape, **settings),
    }
    for name, vae in models.items():
        x, x_test = (train, test) if name == "conditional" else (train["x"], test["x"])
        vae.compile(keras.optimizers.Adam(LEARNING_RATE))
        vae.fit(x, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
        metrics = vae.evaluate(x_test, verbose=0, return_dict=True)
        print(f"{name:13s} test ELBO {metrics['elbo']:6.2f}, KL {metrics['kl']:.2f} nats")

    vae = models["conditional"]
    draw(each_digit(vae), "Each digit, drawn twelve times", out / "digits.png")
    draw(in_the_hand_of(vae, test), "Data, and all digits from its latents", out / "hands.png")

    accuracy = np.mean(classify(vae, digits.x_test) == digits.labels_test)
    print(f"Bayes' rule over log p(x | class) names {accuracy:.1%} of the test images rightly")
    vae.save(out / "conditional.keras")
    print(f"Each digit, drawn twelve times: {out / 'digits.png'}")
    print(f"All digits in the hand of eight test images: {out / 'hands.png'}")


def draw(images, title, path):
    """Writes a picture of images [rows, columns, 8, 8, 1]."""
    rows, columns, *shape = np.shape(images)
    figure = plots.samples(np.reshape(images, (rows * columns, *shape)), columns=columns)
    figure.axes[0].set_title(title, loc="left")
    figure.savefig(path)


def each_digit(vae):
    """Returns 12 new images of each digit, [10, 12, 8, 8, 1]."""
    return [vae.generate(12, condition=one_hot(k), seed=SEED) for k in range(NUM_CLASSES)]


def in_the_hand_of(vae, test):
    """Returns eight images and, beside each, all digits decoded from its latents."""
    rows = {name: values[:8] for name, values in test.items()}
    z = np.repeat(vae.embed(rows), NUM_CLASSES, axis=0)
    images = vae.decode(z, condition=one_hot(np.tile(range(NUM_CLASSES), 8))).mean()
    images = np.reshape(images, (8, NUM_CLASSES, *vae.event_shape))
    return np.concatenate([rows["x"][:, None], images], axis=1)


def classify(vae, x):
    """Returns the class with the largest log p(x | class), [N]; beforehand all are as likely."""
    labels = np.repeat(np.arange(NUM_CLASSES), len(x))
    inputs = {"x": np.tile(x, (NUM_CLASSES, 1, 1, 1)), "condition": one_hot(labels)}
    evidence = evaluation.log_evidence(vae, inputs, num_samples=EVIDENCE_SAMPLES)
    return evidence.log_evidence.reshape(NUM_CLASSES, -1).argmax(axis=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/conditional"))
    main(**vars(parser.parse_args()))
