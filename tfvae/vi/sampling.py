"""Draws of q with their densities, in programs that are traced once."""

import numpy as np
import tensorflow as tf

from tfvae.random import seed_pair
from tfvae.vi.feed import Feed
from tfvae.vi.inference import Inference
from tfvae.vi.program import Program


class Sampler:
    """Draws from q at its present weights, and the joint's density at the present data.

    Args:
        inference: The model.
        feed: Its data.
    """

    def __init__(self, inference: Inference, feed: Feed):
        self.inference, self.feed, self._chunk = inference, feed, feed.chunk
        self._draw = Program(self._draw_chunk)
        self._weigh = Program(lambda u: tuple(inference.target(u)))

    def draws(
        self, n: int, seed: int, stream: str = "vi/sample"
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Returns draws by name, the points u [n, D], and log q(u) [n]."""
        chunks = []
        for i in range(
            -(-n // self._chunk)
        ):  # whole chunks: one program, and a prefix stays a prefix
            z, u, log_q = self._draw(seed_pair(seed, stream, i))
            chunks.append(({k: v.numpy() for k, v in z.items()}, u.numpy(), log_q.numpy()))
        names = self.inference.target.names
        z = {k: np.concatenate([c[0][k] for c in chunks])[:n] for k in names}
        return z, *(np.concatenate([c[i] for c in chunks])[:n] for i in (1, 2))

    def log_joint(self, u: np.ndarray) -> np.ndarray:
        """Returns log p(z, x) + log |dz/du| at points u [n, D], over all the data, [n]."""
        padded = np.concatenate([u, np.repeat(u[-1:], -len(u) % self._chunk, axis=0)])
        chunks = [tf.constant(c) for c in np.split(padded, len(padded) // self._chunk)]
        if self.feed.dataset is None:
            return np.sum(self._weighed(chunks), axis=0)[: len(u)]
        likelihood, count = 0.0, 0
        for batch in self.feed.dataset.take(self.feed.num_batches):
            self.feed.put(batch)
            part, prior = self._weighed(chunks)
            likelihood, count = likelihood + part, count + 1
        return (likelihood / count + prior)[: len(u)]

    def _weighed(self, chunks: list[tf.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Returns log-likelihood and log-prior at all points, float64."""
        parts = [self._weigh(c) for c in chunks]
        return tuple(np.concatenate([np.float64(p[i]) for p in parts]) for i in (0, 1))

    def _draw_chunk(self, seed: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        q = self.inference.surrogate(None)
        u, log_q = q.experimental_sample_and_log_prob(self._chunk, seed=seed)
        return self.inference.target.constrain(u), u, log_q
