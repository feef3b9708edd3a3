"""The three networks in PyTorch."""

import math

from torch import nn
from worker import FILTERS, LATENT_SIZE, UNITS


def encoder(network):
    """Returns layers from x to mean and log variance, side by side."""
    if network == "conv":
        layers = []
        for inputs, outputs in zip((1, *FILTERS), FILTERS, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU()]
        return nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(7 * 7 * FILTERS[-1], 2 * LATENT_SIZE[network])
        )
    return mlp((784, *UNITS[network], 2 * LATENT_SIZE[network]))


def decoder(network):
    """Returns layers from z to logits."""
    if network == "conv":
        start = FILTERS[-1], 7, 7
        layers = [
            nn.Linear(LATENT_SIZE[network], math.prod(start)),
            nn.ReLU(),
            nn.Unflatten(1, start),
        ]
        back = FILTERS[::-1]
        for inputs, outputs in zip((FILTERS[-1], *back), back, strict=False):
            layers += [nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, 1), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(FILTERS[0], 1, 1))
    return mlp((LATENT_SIZE[network], *UNITS[network][::-1], 784))


def mlp(sizes):
    """Returns dense layers with relu between them."""
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
