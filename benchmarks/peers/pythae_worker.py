"""pythae's VAE under its own trainer."""

import logging
import tempfile
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch_networks import decoder, encoder
from worker import BATCH_SIZE, LATENT_SIZE, LEARNING_RATE, arguments, report, wait


class Encoder(BaseEncoder):
    """A network as pythae wants it."""

    def __init__(self, network):
        super().__init__()
        self.layers = encoder(network)

    def forward(self, x):
        mean, log_var = self.layers(x).chunk(2, dim=-1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):
    """A network as pythae wants it; its Bernoulli likelihood takes probabilities."""

    def __init__(self, network):
        super().__init__()
        self.layers = decoder(network)

    def forward(self, z):
        return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))


class Reports(TrainingCallback):
    """Holds the trainer at the start of each epoch and reports at its end."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def on_epoch_begin(self, training_config, **kwargs):
        wait()
        self.start = time.perf_counter()

    def on_epoch_end(self, training_config, **kwargs):
        report(self.rows, time.perf_counter() - self.start)


def main():
    """Trains until told to stop."""
    logging.disable(logging.CRITICAL)
    network, x, _ = arguments()
    x = np.moveaxis(x, -1, 1) if network == "conv" else x
    config = VAEConfig(
        input_dim=x.shape[1:], latent_dim=LATENT_SIZE[network], reconstruction_loss="bce"
    )
    model = VAE(config, encoder=Encoder(network), decoder=Decoder(network))
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            model=model,
            train_dataset=BaseDataset(
                torch.from_numpy(np.ascontiguousarray(x)), torch.zeros(len(x))
            ),
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=10**4,
                per_device_train_batch_size=BATCH_SIZE,
                learning_rate=LEARNING_RATE,
                optimizer_cls="Adam",
                no_cuda=True,
            ),
            callbacks=[Reports(len(x))],
        )
        trainer.train()


if __name__ == "__main__":
    main()
