"""Trains a VAE on handwritten digits, measures, draws, saves, exports and reloads it.

    python examples/demo.py [--epochs 60] [--num-samples 5000] [--out runs/demo]

Run it as often as you like: pictures and `digits.keras` are replaced, the export gets its next
version.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import time

LATENT_SIZE, UNITS, BATCH_SIZE, LEARNING_RATE, SEED = 8, (256, 256), 32, 3e-3, 0
FIRST_BETA, WARM_UP = 0.1, 1 / 3  # the weight of the KL rises to 1 in the first third of training
ELBO_SAMPLES = 100
ACTIVE = 0.01  # nats; a latent with a smaller KL tells the decoder nothing
FEW = 10  # effective samples; a log-evidence that rests on fewer is too low
TOLERANCE = 1e-4  # of the reloaded models


@contextlib.contextmanager
def quiet_stderr():
    """Drops what TensorFlow's libraries write while they load, before they read any log level."""
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet_stderr():
    import keras
    import numpy as np
    import tensorflow as tf
    from rich import box
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table

    import tfvae
    from tfvae import evaluation, objectives, plots, schedules

CONSOLE = Console(highlight=False, soft_wrap=True)
say = CONSOLE.print


def main(epochs, num_samples, out):
    """Runs the whole job: data, model, training, evaluation, pictures, files."""
    start = time.perf_counter()
    keras.utils.set_random_seed(SEED)  # of the order in which `fit` shuffles
    out.mkdir(parents=True, exist_ok=True)
    digits = tfvae.data.digits()
    x, x_test = digits.x_train, digits.x_test
    steps = epochs * -(-len(x) // BATCH_SIZE)
    say(f"[bold]Data[/]: {len(x)} binary images of 8 x 8 pixels, and {len(x_test)} to test on")

    warm_up = schedules.Linear(FIRST_BETA, 1.0, steps=max(1, int(WARM_UP * steps)))
    vae = tfvae.recipes.vae(
        digits.event_shape,
        latent_size=LATENT_SIZE,
        units=UNITS,
        objective=objectives.ELBO(beta=warm_up),
        seed=SEED,
    )
    learning_rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    vae.compile(keras.optimizers.Adam(learning_rate))
    history = vae.fit(
        x,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=digits.x_valid,
        callbacks=[EpochBar(epochs)],
        verbose=0,
    ).history

    kl_by_latent = vae(digits.x_valid).kl_parts.numpy().mean(axis=0)
    show_latents(kl_by_latent)
    show_metrics(vae, x, x_test, num_samples)
    draw(vae, digits, history, np.argsort(-kl_by_latent), out)

    vae.save(out / "digits.keras")
    export = pathlib.Path(vae.export(out / "saved_model"))
    difference = show_parity(vae, x_test, out / "digits.keras", export)

    say(f"[bold]Written[/] in {time.perf_counter() - start:.0f} s, to {out}{os.sep}")
    for name, content in {
        "reconstructions.png": "test images above their reconstructions",
        "samples.png": "new images, with latents from the prior",
        "traversal.png": "a test image while one latent moves and the others rest",
        "latents.png": "where the training images lie, by digit",
        "training.png": "loss, ELBO, log-likelihood and KL by epoch",
        "digits.keras": "for keras.saving.load_model, after `import tfvae`",
        f"saved_model/{export.name}/": "for TensorFlow Serving",
    }.items():
        say(f"  {name:21s} {content}")
    if not difference < TOLERANCE:
        sys.exit(f"The reloaded models differ from the trained one by {difference:.1e}.")


class EpochBar(keras.callbacks.Callback):
    """One line for all epochs."""

    def __init__(self, epochs):
        super().__init__()
        label = TextColumn("[bold]Training[/]: epoch {task.completed:.0f} of {task.total:.0f}")
        self.bar = Progress(
            label,
            BarColumn(20),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=CONSOLE,
        )
        self.task = self.bar.add_task("", total=epochs)

    def on_train_begin(self, logs=None):
        self.bar.start()

    def on_epoch_end(self, epoch, logs=None):
        text = f"ELBO {logs['elbo']:.2f}, validation {logs['val_elbo']:.2f}"
        self.bar.update(self.task, advance=1, description=text)

    def on_train_end(self, logs=None):
        self.bar.stop()


def show_latents(kl_by_latent):
    """Prints the KL by latent: one that is near 0 has collapsed onto the prior."""
    table = new_table("latent", "KL in nats", "")
    table.columns[-1].justify = "left"
    for index in np.argsort(-kl_by_latent):
        bar = "\N{FULL BLOCK}" * round(30 * kl_by_latent[index] / kl_by_latent.max())
        table.add_row(f"z{index}", f"{kl_by_latent[index]:.2f}", bar)
    num_active = np.sum(kl_by_latent > ACTIVE)
    say(f"[bold]Latents[/]: {num_active} of {len(kl_by_latent)} are active (KL > {ACTIVE} nats)")
    say(table)


def show_metrics(vae, x, x_test, num_samples):
    """Prints what the model is worth on test data."""
    elbo = evaluation.elbo(vae, x_test, num_samples=ELBO_SAMPLES).mean()
    kl = vae(x_test).kl.numpy().mean()
    evidence = evaluation.log_evidence(vae, x_test, num_samples=num_samples)
    # Of the mean over these images: how far more importance samples would move it.
    error = np.sqrt(np.sum(evidence.standard_error**2)) / len(x_test)
    on = np.clip(x.mean(axis=0), 1e-3, 1 - 1e-3)
    no_latents = np.log(np.where(x_test == 1, on, 1 - on)).sum() / len(x_test)

    table = new_table("nats per example", "mean", "")
    table.add_row("ELBO = log-likelihood - KL", f"{elbo:.2f}", "")
    table.add_row("  log-likelihood", f"{elbo + kl:.2f}", "")
    table.add_row("  KL", f"{kl:.2f}", "")
    table.add_row(
        f"log-evidence, {num_samples} importance samples",
        f"{evidence.log_evidence.mean():.2f}",
        f"\N{PLUS-MINUS SIGN} {error:.3f}",
    )
    table.add_row("for comparison: independent pixels", f"{no_latents:.2f}", "")
    say("[bold]Test data[/]")
    say(table)
    sizes = evidence.effective_sample_size
    say(
        f"The effective sample size of an image is {np.median(sizes):.0f} in the median and "
        f"{sizes.min():.1f} at least;\n{np.sum(sizes < FEW)} of {len(sizes)} are below {FEW}.\n"
    )


def draw(vae, digits, history, latents, out):
    """Writes the pictures; `latents` are in the order of their traversals."""
    x_test = digits.x_test
    values = np.linspace(-2.5, 2.5, 11)
    z = np.tile(vae.embed(x_test[:1]), (LATENT_SIZE, len(values), 1))
    for row, latent in enumerate(latents):
        z[row, :, latent] = values
    figures = {
        "reconstructions": plots.reconstructions(x_test, vae.predict(x_test, verbose=0), num=20),
        "samples": plots.samples(vae.generate(60, seed=SEED), columns=12),
        "traversal": plots.traversal(vae.decode(z).mean(), latents=latents, values=values),
        "latents": plots.latent_map(vae.embed(digits.x_train), labels=digits.labels_train),
        "training": plots.training_curves(history),
    }
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png")


def show_parity(vae, x, keras_file, export):
    """Reloads both files and prints how far they are from the model; returns the largest."""
    loaded = keras.saving.load_model(keras_file)
    served = tf.saved_model.load(export).signatures
    x, z = tf.constant(x), vae.encode(x).mean()

    def from_keras(model):
        q = model.encode(x)
        return [q.mean(), q.stddev()], [model.decode(z).mean()], [model.reconstruct(x)]

    encoded, decoded = served["encode"](x=x), served["decode"](z=z)
    reconstructed = served["reconstruct"](x=x)
    reloaded = {
        keras_file.name: from_keras(loaded),
        "SavedModel": (
            [encoded["mean"], encoded["scale"]],
            [decoded["mean"]],
            [reconstructed["mean"]],
        ),
    }
    table = new_table("", "encode", "decode", "reconstruct")
    largest = []
    for name, outputs in reloaded.items():
        row = [
            max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True))
            for ours, theirs in zip(from_keras(vae), outputs, strict=True)
        ]
        table.add_row(name, *(f"{value:.1e}" for value in row))
        largest += row
    say(f"[bold]Parity[/]: largest difference from the trained model on {len(x)} test images")
    say(table)
    return max(largest)


def new_table(*headers):
    """Returns an empty table; all but its first column are numbers."""
    table = Table(box=box.SIMPLE_HEAD)
    for number, header in enumerate(headers):
        table.add_column(header, justify="right" if number else "left")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--num-samples", type=int, default=5000, help="of the log-evidence")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/demo"))
    options = parser.parse_args()
    if min(options.epochs, options.num_samples) < 1:
        parser.error("--epochs and --num-samples must be at least 1.")
    main(**vars(options))
