"""Topics that were planted are found again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae

NUM_TOPICS, WORDS = 3, 10  # of each topic
RNG = np.random.default_rng(0)
TOPICS = np.kron(np.eye(NUM_TOPICS), np.ones(WORDS)) + 0.01
SHARES = RNG.dirichlet(np.full(NUM_TOPICS, 0.3), 400)
DOCUMENTS = np.float32(
    [RNG.multinomial(60, p / p.sum()) for p in SHARES @ (TOPICS / TOPICS.sum(1, keepdims=True))]
)


def topics_are_found(model):
    """The ten likeliest words of each topic are those of another planted one."""
    words = model.decode(6.0 * tf.eye(NUM_TOPICS)).mean().numpy().argsort(axis=1)[:, ::-1]
    planted = words[:, :WORDS] // WORDS
    assert sorted(map(tuple, planted)) == [(k,) * WORDS for k in range(NUM_TOPICS)]


def test_planted_topics_are_found():
    model = tfvae.recipes.prod_lda(
        (NUM_TOPICS * WORDS,), latent_size=NUM_TOPICS, units=(32,), seed=0
    )
    model.build((None, NUM_TOPICS * WORDS))
    with pytest.raises(AssertionError):
        topics_are_found(model)  # of one that has learned nothing
    model.compile(keras.optimizers.Adam(5e-3), jit_compile=False)
    model.fit(DOCUMENTS, batch_size=50, epochs=40, verbose=0)
    topics_are_found(model)
    # Of a document, the topic that it has most of is the largest latent.
    clear = SHARES.max(axis=1) > 0.8
    topic_of = [DOCUMENTS[:, k * WORDS :][:, :WORDS].sum(axis=1) for k in range(NUM_TOPICS)]
    largest = model.embed(DOCUMENTS).argmax(axis=1)[clear]
    pairs = set(zip(np.argmax(topic_of, axis=0)[clear], largest, strict=True))
    assert len(pairs) == NUM_TOPICS
