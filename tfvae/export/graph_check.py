"""What a served graph must not hold: randomness of its own, Python, and the server's files."""

import os
import re
from collections.abc import Iterator

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

REFUSED = re.compile(
    r"Random|Rng|StatefulUniform|StatefulStandardNormal|StatefulTruncatedNormal|TruncatedNormal"
    r"|Multinomial|Poisson|PyFunc|ReadFile|WriteFile|MatchingFiles|PrintV2|Assign\w*VariableOp"
)


def check_graph(directory: str) -> None:
    """Refuses a SavedModel whose signatures hold an operation that a server must not run.

    Raises:
        ValueError: If one does.
    """
    saved = saved_model_pb2.SavedModel()
    with open(os.path.join(directory, "saved_model.pb"), "rb") as file:
        saved.ParseFromString(file.read())
    found = sorted({node.op for node in served_nodes(saved) if REFUSED.search(node.op)})
    if found:
        raise ValueError(
            "`model` must serve a function of its inputs alone: no randomness of its own, no state "
            f"and no Python code. Received: a model with the operations {', '.join(found)}. Fix: "
            "take the layer that does this out of the networks, or let it do nothing when "
            "`training` is false."
        )


def served_nodes(saved: saved_model_pb2.SavedModel) -> Iterator[node_def_pb2.NodeDef]:
    """Yields all nodes but those of the two functions that write and read the variables."""
    graph = saved.meta_graphs[0].graph_def
    yield from (node for node in graph.node if node.op != "AssignVariableOp")
    for function in graph.library.function:
        if not re.search(r"traced_(restore|save)", function.signature.name):
            yield from function.node_def
