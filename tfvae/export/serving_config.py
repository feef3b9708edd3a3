"""Files that TensorFlow Serving is started with."""

import os
import pathlib
import re
from typing import Any

from tfvae.errors import ArtifactError
from tfvae.models.saving import written_whole

MODELS, BATCHING = "models.config", "batching.config"

MODELS_TEXT = """\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""

# Requests are joined along the batch, and filled up to an allowed size: every signature's rows are
# functions of themselves alone, so that neither changes an answer.
BATCHING_TEXT = """\
max_batch_size { value: 64 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 1000 }
num_batch_threads { value: 4 }
allowed_batch_sizes: 1
allowed_batch_sizes: 8
allowed_batch_sizes: 32
allowed_batch_sizes: 64
"""


def serving_config(base: Any, directory: Any) -> str:
    """Writes `models.config` and `batching.config` for the versions under `base`.

    The model is named after `base`, and served from `/models/<name>`, where the server's container
    is to find it.

    Args:
        base: What `saved_model` was given as `path`.
        directory: Where to write; made if need be.

    Returns:
        The directory.

    Raises:
        ValueError: If the name has other characters than letters, digits, `_`, `-` and `.`.
        ArtifactError: If a file exists with another content, or cannot be written.

    Example:
    >>> serving_config("saved_models/digits", "serving")
    'serving'
    """
    name, directory = os.path.basename(os.path.abspath(base)), os.fspath(directory)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(
            "`path` must end with a name of letters, digits, `_`, `-` and `.`, by which the server "
            f"calls the model. Received: {name!r}. Fix: export to another directory."
        )
    for file, text in {MODELS: MODELS_TEXT.format(name=name), BATCHING: BATCHING_TEXT}.items():
        path = pathlib.Path(directory, file)
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise ArtifactError(
                f"`{file}` must be a new file. Received: {path}, which exists with another "
                "content. Fix: give another directory, or remove it first."
            )
        with written_whole(os.fspath(path)) as partial:
            pathlib.Path(partial).write_text(text, encoding="utf-8")
    return directory
