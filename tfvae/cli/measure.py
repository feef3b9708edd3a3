"""The metrics of a run's model."""

import math
from typing import Any

import numpy as np

from tfvae import evaluation
from tfvae.cli.terminal import Terminal
from tfvae.data import Splits
from tfvae.errors import NumericalError
from tfvae.evaluation.evidence import is_point_mass

BATCH_SIZE = 256  # a constant: the noise of an example depends on its batch
FEW_SAMPLES = 10  # effective ones; below, an estimate of the evidence is too low


def measure(
    model: Any, inputs: Any, splits: Splits, num_samples: int, terminal: Terminal
) -> dict[str, Any]:
    """Returns the metrics of test data, in nats per example; the same each time.

    Args:
        model: A `LatentVariableModel`.
        inputs: The test data as the model takes them.
        splits: The data they belong to.
        num_samples: Importance samples of the log-evidence; 0 leaves it out.
        terminal: Where to show notes.

    Returns:
        Means over the examples. `log_evidence_standard_error` is that of the importance sampling:
        how far the estimate may be from the mean log-evidence of these very examples.

    Raises:
        NumericalError: If a metric is not finite.
    """
    num_examples = len(splits.x_test)
    if num_samples and is_point_mass(model.encode({k: v[:1] for k, v in inputs.items()})):
        terminal.note("x determines the codes: there is no log-evidence beside the ELBO.")
        num_samples = 0
    means = model.evaluate(inputs, batch_size=BATCH_SIZE, verbose=0, return_dict=True)
    metrics = {
        "data": splits.name,
        "fingerprint": splits.fingerprint,
        "num_examples": num_examples,
        "elbo": means["elbo"],
        "log_likelihood": means["log_likelihood"],
        "kl": means["kl"],
        "num_samples": num_samples,
        "log_evidence": None,
        "log_evidence_standard_error": None,
    }
    if num_samples:
        with terminal.busy(f"log-evidence of {num_examples} test examples"):
            evidence = evaluation.log_evidence(model, inputs, num_samples)
        errors = np.float64(evidence.standard_error)
        metrics["log_evidence"] = float(np.mean(evidence.log_evidence, dtype="float64"))
        metrics["log_evidence_standard_error"] = float(np.sqrt(np.sum(errors**2)) / num_examples)
        few = int(np.sum(evidence.effective_sample_size < FEW_SAMPLES))
        if few and num_samples > FEW_SAMPLES:
            terminal.note(
                f"the log-evidence of {few} of {num_examples} examples rests on fewer than "
                f"{FEW_SAMPLES} effective samples and is likely too low. "
                f"Fix: --num-samples {10 * num_samples}."
            )
    for name in ("elbo", "log_likelihood", "kl", "log_evidence"):
        if metrics[name] is not None and not math.isfinite(metrics[name]):
            raise NumericalError(
                f"`{name}` must be finite on the test data. Received: {name}={metrics[name]}. "
                "Fix: lower --learning-rate, scale the data, or choose another likelihood."
            )
    return metrics
