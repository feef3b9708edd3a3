"""What XLA makes of several train steps: one program that waits for nobody."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfvae.models.execution import Blocks

STEPS, BATCH_SIZE = 3, 8


@pytest.fixture(scope="module")
def blocks_of(make_vae):
    """A function from a kind of VAE to its train program, for a model ready to be trained."""

    def make(cls=None):
        vae = make_vae()
        if cls is not None:
            vae = cls(vae.encoder, vae.decoder, seed=0)
        vae.build((None, 6))
        vae.compile(keras.optimizers.Adam(1e-2))
        vae.optimizer.build(vae.trainable_variables)
        return Blocks(vae, vae.train_step, vae.bare_train_step)

    return make


def compiled_text(blocks, x):
    """Returns the optimized program of `STEPS` steps."""
    rows = np.arange(STEPS * BATCH_SIZE, dtype="int32").reshape(STEPS, BATCH_SIZE)
    arguments = tf.constant(x), tf.constant(rows), tf.constant(STEPS)
    return blocks.program.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")


@pytest.mark.slow
def test_the_steps_are_one_program_without_a_round_trip(blocks_of, x):
    text = compiled_text(blocks_of(), x)
    assert text.count("HloModule") == 1
    assert text.count("\nENTRY ") == 1
    assert re.search(r"\bwhile\(", text), "the steps are a loop of the program"
    assert not re.findall(r"infeed|outfeed|callback|\b(?:send|recv)\(", text)
