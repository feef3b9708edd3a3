"""Mistakes in objectives and their recipes fail at construction, in a sentence."""

import numpy as np
import pytest
from test_bad_input import assert_sentence, cases

from tfvae import networks, recipes
from tfvae.objectives import (
    DIP,
    MMD,
    VIMCO,
    Capacity,
    Constrained,
    CriticTotalCorrelation,
    DReG,
    ImportanceWeighted,
    Renyi,
    StickingTheLanding,
    TotalCorrelation,
)

CRITIC = networks.mlp([1])

CONSTRUCTION = [
    *(
        (lambda cls=cls: cls(num_samples=0), "num_samples", "num_samples=0")
        for cls in (ImportanceWeighted, DReG, StickingTheLanding, Renyi, Capacity)
    ),
    (lambda: ImportanceWeighted(num_samples=2.0), "num_samples", "num_samples=2.0 of type float"),
    (lambda: VIMCO(num_samples=1), "num_samples", "an integer >= 2. Received: num_samples=1"),
    (lambda: Renyi(alpha=np.inf), "alpha", "alpha=inf"),
    (lambda: Renyi(alpha="0"), "alpha", "alpha='0' of type str"),
    (lambda: Capacity(capacity=-1.0), "capacity", "capacity=-1.0"),
    (lambda: Capacity(weight=0.0), "weight", "a finite number > 0. Received: weight=0.0"),
    (lambda: Constrained(tolerance=np.nan), "tolerance", "tolerance=nan"),
    (lambda: Constrained(tolerance=None), "tolerance", "tolerance=None of type NoneType"),
    (lambda: Constrained(80.0, rate=0.0), "rate", "rate=0.0"),
    (lambda: Constrained(80.0, decay=1.0), "decay", "in [0, 1). Received: decay=1.0"),
    (lambda: Constrained(80.0, decay=-0.1), "decay", "decay=-0.1"),
    (lambda: TotalCorrelation(-1.0, 100), "weight", "weight=-1.0"),
    (lambda: TotalCorrelation(1.0, 1), "num_examples", "an integer >= 2. Received: num_examples=1"),
    (lambda: TotalCorrelation(1.0, None), "num_examples", "num_examples=None of type NoneType"),
    (lambda: CriticTotalCorrelation(-1.0, CRITIC), "weight", "weight=-1.0"),
    (lambda: CriticTotalCorrelation(1.0, np.tanh), "critic", "of type ufunc"),
    (lambda: CriticTotalCorrelation(1.0, CRITIC, seed=None), "seed", "seed=None of type NoneType"),
    (lambda: DIP(weight=-1.0), "weight", "weight=-1.0"),
    (lambda: DIP(1.0, diagonal_weight=-2.0), "diagonal_weight", "diagonal_weight=-2.0"),
    (lambda: DIP(1.0, of_means=1), "of_means", "True or False. Received: of_means=1 of type int"),
    (lambda: MMD(weight="1"), "weight", "weight='1' of type str. Fix: pass a number or a Keras"),
    (lambda: MMD(1.0, seed=-1), "seed", "seed=-1"),
    # recipes
    (lambda: recipes.beta_vae((6,), beta=-1.0), "beta", "beta=-1.0"),
    (lambda: recipes.capacity_vae((6,), steps=0), "steps", "steps=0"),
    (lambda: recipes.capacity_vae((6,), capacity=-1.0), "capacity", "capacity=-1.0"),
    (lambda: recipes.beta_tcvae((6,), num_examples=9, beta=0.5), "beta", "beta=0.5"),
    (lambda: recipes.factor_vae((6,), critic_units=6), "units", "units=6. Fix: pass (6,)"),
    (lambda: recipes.info_vae((6,), alpha=1.5), "alpha", "at most 1. Received: alpha=1.5"),
    (lambda: recipes.info_vae((6,), alpha=0.5, weight=0.1), "weight", "weight=0.1 with alpha=0.5"),
]


@pytest.mark.parametrize(("make", "argument", "received"), cases(CONSTRUCTION))
def test_mistakes_of_construction_name_argument_and_value(make, argument, received):
    with pytest.raises((TypeError, ValueError)) as error:
        make()
    assert_sentence(error, argument, received)


@pytest.mark.parametrize("cls", [ImportanceWeighted, DReG, Renyi, VIMCO], ids=lambda c: c.__name__)
@pytest.mark.parametrize("argument", ["beta", "free_bits"])
def test_a_bound_of_the_evidence_takes_no_beta_and_no_free_bits(cls, argument):
    with pytest.raises(ValueError, match=argument):
        cls(**{argument: 0.5})
