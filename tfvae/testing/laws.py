"""The laws of models: each takes a model and data, and raises `CheckFailed` where one is broken.

A law may train the model that it is given. The list is one, for the project's own models and for a
user's.
"""

from tfvae.testing.law_tools import CheckFailed, copy_of, rows_of
from tfvae.testing.laws_of_artifacts import (
    a_new_process_loads_it,
    an_export_gives_the_same_numbers,
    saving_restores_it_and_training_goes_on,
)
from tfvae.testing.laws_of_configs import (
    all_classes_are_registered,
    config_is_json,
    config_restores_it,
    densities_are_float32_under_half_precision_networks,
    no_layer_holds_code,
    shapes_alone_build_it,
    the_seed_is_kept,
    weights_are_finite_float32,
)
from tfvae.testing.laws_of_numbers import (
    a_single_row_is_a_batch,
    all_number_types_are_the_same_numbers,
    batching_does_not_bend_the_metrics,
    draws_have_their_shapes_and_are_finite,
    eager_equals_graph_and_xla,
    embeddings_are_posterior_means,
    evaluating_changes_nothing,
    generated_examples_follow_the_seed,
    generated_examples_lie_in_the_support,
    inputs_are_left_alone,
    more_draws_are_more_rows,
    noise_is_a_function_of_seed_and_counter,
    predictions_are_never_random,
    predictions_are_reconstructions,
    random_states_are_left_alone,
    rows_do_not_see_each_other,
    the_bound_lies_below_the_evidence,
    the_kl_is_never_negative,
    the_summary_says_what_it_is,
)
from tfvae.testing.laws_of_refusals import (
    infinity_is_refused,
    labels_are_refused,
    losses_from_outside_are_refused,
    nan_is_refused_and_changes_nothing,
    no_rows_are_refused,
    other_shapes_are_refused,
    unknown_keys_are_refused,
)
from tfvae.testing.laws_of_training import (
    a_bad_update_changes_nothing,
    a_clipped_step_is_short,
    a_compiled_step_is_the_same_step,
    a_step_too_steep_is_skipped,
    evaluating_in_between_does_not_change_training,
    every_batch_is_counted,
    gradients_reach_every_weight_of_the_model,
    several_steps_an_execution_are_the_same_steps,
    training_is_a_function_of_the_seed,
    training_lowers_the_loss,
)

LAWS = [
    training_lowers_the_loss,
    # numbers
    eager_equals_graph_and_xla,
    gradients_reach_every_weight_of_the_model,
    batching_does_not_bend_the_metrics,
    evaluating_changes_nothing,
    predictions_are_never_random,
    generated_examples_follow_the_seed,
    config_restores_it,
    the_bound_lies_below_the_evidence,
    draws_have_their_shapes_and_are_finite,
    more_draws_are_more_rows,
    noise_is_a_function_of_seed_and_counter,
    rows_do_not_see_each_other,
    a_single_row_is_a_batch,
    the_kl_is_never_negative,
    all_number_types_are_the_same_numbers,
    predictions_are_reconstructions,
    embeddings_are_posterior_means,
    generated_examples_lie_in_the_support,
    inputs_are_left_alone,
    random_states_are_left_alone,
    the_summary_says_what_it_is,
    # configs
    config_is_json,
    the_seed_is_kept,
    all_classes_are_registered,
    no_layer_holds_code,
    weights_are_finite_float32,
    shapes_alone_build_it,
    densities_are_float32_under_half_precision_networks,
    # refusals
    nan_is_refused_and_changes_nothing,
    infinity_is_refused,
    other_shapes_are_refused,
    no_rows_are_refused,
    unknown_keys_are_refused,
    labels_are_refused,
    losses_from_outside_are_refused,
]
# What a new prior, posterior or likelihood may break; the others hold of all models or of none.
MAIN_LAWS = LAWS[: LAWS.index(draws_have_their_shapes_and_are_finite)]
# Those that compile programs of their own.
COSTLY_LAWS = [
    eager_equals_graph_and_xla,
    batching_does_not_bend_the_metrics,
    evaluating_changes_nothing,
    predictions_are_never_random,
]
# Of single steps, which all models share: the project runs them on few of its own.
STEP_LAWS = [
    training_is_a_function_of_the_seed,
    every_batch_is_counted,
    a_bad_update_changes_nothing,
    a_step_too_steep_is_skipped,
    a_clipped_step_is_short,
    evaluating_in_between_does_not_change_training,
]
FOLDER_LAWS = [saving_restores_it_and_training_goes_on]
THOROUGH_LAWS = [
    several_steps_an_execution_are_the_same_steps,
    a_compiled_step_is_the_same_step,
    an_export_gives_the_same_numbers,
    a_new_process_loads_it,
]

__all__ = [
    "COSTLY_LAWS",
    "FOLDER_LAWS",
    "LAWS",
    "MAIN_LAWS",
    "STEP_LAWS",
    "THOROUGH_LAWS",
    "CheckFailed",
    "copy_of",
    "rows_of",
]
