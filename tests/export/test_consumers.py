"""A version is read by programs that are not this project, and gives them the same numbers."""

import importlib.util
import os
import shutil
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from export.conftest import ask
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from tfvae import export
from tfvae.errors import ArtifactError
from tfvae.export.warm_up import PATH as WARM_UP

TENSORFLOW = Path(tf.__file__).parent

needs_stubs = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_serving") is None,
    reason="tensorflow-serving-api is not installed (pip install 'tfvae[serving]')",
)


def assert_answers(received, answers, rtol=1e-5):
    for name, outputs in answers.items():
        for key, value in outputs.items():
            np.testing.assert_allclose(received[name][key], value, rtol=rtol, atol=1e-5)


# ---- the C interface, in a process without TensorFlow's Python -----------------------------------


@pytest.fixture(scope="session")
def run_in_c(base, tmp_path_factory):
    """A function from requests {"signature" or "signature@anything": inputs} to the answers."""

    def run(requests):
        folder = tmp_path_factory.mktemp("c")
        given = {f"{name}/{key}": v for name, i in requests.items() for key, v in i.items()}
        np.savez(folder / "in.npz", **given)
        command = [sys.executable, Path(__file__).with_name("c_api.py"), TENSORFLOW, base / "1"]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        subprocess.run(
            [*command, folder / "in.npz", folder / "out.npz"], check=True, env=environment
        )
        found = {}
        for name, value in np.load(folder / "out.npz").items():
            signature, _, key = name.partition("/")
            found.setdefault(signature, {})[key] = value
            found[name] = value
        return found

    return run


def test_the_c_interface_gives_the_same_numbers_and_names_a_wrong_input(
    run_in_c, requests, answers
):
    x, z, seed = (requests[n][k] for n, k in [("encode", "x"), ("decode", "z"), ("sample", "seed")])
    received = run_in_c(
        {
            **requests,
            "encode@width": {"x": x[:, :3]},
            "encode@rank": {"x": x[0]},
            "decode@width": {"z": z[:, :1]},
            "sample@width": {"seed": seed[:, :1]},
            "elbo@rows": {"x": x, "seed": seed[:2]},
            "elbo@one": {"x": x, "seed": seed[:1]},
        }
    )
    assert received["foreign"].size == 0
    assert set(answers) <= set(received["signatures"])
    assert_answers(received, answers)
    for request, named in [
        ("encode@width", "encode_x"),
        ("encode@rank", "encode_x"),
        ("decode@width", "decode_z"),
        ("sample@width", "sample_seed"),
        ("elbo@rows", "`seed` must have as many rows as `x`"),
        ("elbo@one", "`seed` must have as many rows as `x`"),
    ]:
        assert named in str(received[request]["error"]), request


# ---- TensorFlow's own command --------------------------------------------------------------------


def test_saved_model_cli_runs_a_signature(base, requests, answers, tmp_path):
    np.savez(tmp_path / "in.npz", **requests["encode_sample"])
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run"]
    inputs = ";".join(f"{key}={tmp_path / 'in.npz'}[{key}]" for key in ("x", "seed"))
    options = ["--tag_set", "serve", "--signature_def", "encode_sample", "--inputs", inputs]
    subprocess.run(
        [*command, "--dir", base / "1", *options, "--outdir", tmp_path],
        check=True,
        capture_output=True,
    )
    for key, value in answers["encode_sample"].items():
        np.testing.assert_allclose(np.load(tmp_path / f"{key}.npy"), value, rtol=1e-5, atol=1e-6)


# ---- the loader that TensorFlow Serving calls ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_the_cpp_loader_gives_the_same_numbers(base, requests, answers, tmp_path):
    program = tmp_path / "load"
    source = Path(__file__).with_name("load_saved_model.cc")
    subprocess.run(
        ["g++", "-std=c++17", "-O0", "-w", "-D_GLIBCXX_USE_CXX11_ABI=1"]
        + ["-DEIGEN_MAX_ALIGN_BYTES=64", f"-I{TENSORFLOW / 'include'}", source, "-o", program]
        # Else the linker drops the library that registers the sessions: "No session factory".
        + [f"-L{TENSORFLOW}", "-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2"]
        + ["-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{TENSORFLOW}"],
        check=True,
    )
    seeds = requests["sample"]["seed"]
    done = subprocess.run(
        [program, base / "1", *map(str, seeds.ravel())], check=True, capture_output=True, text=True
    )
    received = np.array(done.stdout.split(), "float32").reshape(len(seeds), -1)
    np.testing.assert_allclose(received, answers["sample"]["z"], rtol=1e-4, atol=1e-5)


# ---- TensorFlow Serving's messages ---------------------------------------------------------------


def warm_up_records(base):
    return [r.numpy() for r in tf.data.TFRecordDataset(str(base / "1" / WARM_UP))]


def test_the_warm_up_has_requests_for_every_signature(base, loaded):
    records = warm_up_records(base)
    assert 0 < len(records) <= 1000  # the server's limit
    for name in loaded.signatures:
        assert sum(f"\x1a{chr(len(name))}{name}".encode() in record for record in records) >= 1


@needs_stubs
def test_the_warm_up_parses_as_the_servers_messages(base, loaded):
    from tensorflow_serving.apis import prediction_log_pb2

    asked = {}
    for record in warm_up_records(base):
        message = prediction_log_pb2.PredictionLog.FromString(record)
        request = message.predict_log.request
        assert message.WhichOneof("log_type") == "predict_log"
        assert request.model_spec.name == "tiny"
        # Nothing is in it but what the stubs know.
        assert message.SerializeToString(deterministic=True)
        assert len(message.SerializeToString()) == len(record)
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        outputs = ask(loaded, request.model_spec.signature_name, inputs)
        rows = {len(v) for v in outputs.values()}
        asked.setdefault(request.model_spec.signature_name, set()).update(rows)
    assert asked == dict.fromkeys(loaded.signatures, {1, 8})


@pytest.mark.slow
@needs_stubs
def test_a_prediction_service_answers_the_warm_up_over_grpc(base, loaded, requests, answers):
    import grpc
    from tensorflow_serving.apis import (
        predict_pb2,
        prediction_log_pb2,
        prediction_service_pb2_grpc,
    )

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            try:
                outputs = ask(loaded, request.model_spec.signature_name, inputs)
            except (tf.errors.InvalidArgumentError, TypeError) as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error)[:1000])
            response = predict_pb2.PredictResponse()
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            for record in warm_up_records(base):
                log = prediction_log_pb2.PredictionLog.FromString(record)
                assert stub.Predict(log.predict_log.request).outputs
            received = {}
            for name, inputs in requests.items():
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = name
                for key, value in inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
                outputs = stub.Predict(request).outputs
                received[name] = {key: tf.make_ndarray(value) for key, value in outputs.items()}
            assert_answers(received, answers)
            del request.inputs["seed"]
            with pytest.raises(grpc.RpcError, match="seed"):
                stub.Predict(request)
    finally:
        server.stop(None)


# ---- the server's configuration ------------------------------------------------------------------


@pytest.fixture
def written(base, tmp_path):
    return Path(export.serving_config(base, tmp_path / "serving"))


@needs_stubs
def test_models_config_parses_as_the_servers(written):
    from tensorflow_serving.config import model_server_config_pb2

    text = (written / "models.config").read_text(encoding="utf-8")
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("tiny", "/models/tiny")
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 1


def batching_parameters():
    """The message `BatchingParameters`, which is in no package, from the published definition.

    Source: tensorflow/serving, servables/tensorflow/session_bundle_config.proto.
    """
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name in ("Int64Value", "StringValue"):
        kind = field.TYPE_INT64 if name == "Int64Value" else field.TYPE_STRING
        file.message_type.add(name=name).field.add(
            name="value", number=1, type=kind, label=field.LABEL_OPTIONAL
        )
    message = file.message_type.add(name="BatchingParameters")
    for name, number, wrapper in [
        ("max_batch_size", 1, "Int64Value"),
        ("batch_timeout_micros", 2, "Int64Value"),
        ("max_enqueued_batches", 3, "Int64Value"),
        ("num_batch_threads", 4, "Int64Value"),
        ("thread_pool_name", 5, "StringValue"),
    ]:
        message.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".{wrapper}",
            label=field.LABEL_OPTIONAL,
        )
    message.field.add(
        name="allowed_batch_sizes", number=6, type=field.TYPE_INT64, label=field.LABEL_REPEATED
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))


def test_batching_parameters_parse_and_fit_together(written):
    text = (written / "batching.config").read_text(encoding="utf-8")
    parameters = text_format.Parse(text, batching_parameters()())
    sizes = list(parameters.allowed_batch_sizes)
    # The server refuses others: ascending, and the last is the largest batch.
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == parameters.max_batch_size.value


def test_a_configuration_of_somebody_elses_is_kept(base, written, tmp_path):
    assert export.serving_config(base, written) == str(written)
    (written / "models.config").write_text("model_config_list {}")
    with pytest.raises(ArtifactError, match="`models.config` must be a new file"):
        export.serving_config(base, written)
    assert (written / "models.config").read_text() == "model_config_list {}"
    with pytest.raises(ValueError, match="`path` must end with a name"):
        export.serving_config(tmp_path / "my model", tmp_path)
