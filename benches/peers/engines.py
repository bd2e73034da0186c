"""Sessions of OpenVINO, ONNX Runtime and torch, each as a function that encodes one batch.

Every session gets the settings that its manual gives for the case: a fixed shape, the
number of threads, all graph optimisations.
"""
import importlib.metadata
import pathlib
import subprocess
import sys

import numpy
import onnxruntime
import openvino
import torch

QUANTIZE = pathlib.Path(__file__).with_name("quantize.py")
# Name of a precision here and for OpenVINO's hint, and its name among OpenVINO's capabilities.
FLOATS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


def quantized(tool, source, photos, narrow):
    """The int8 model that a tool makes of an ONNX file, made if it is not there yet."""
    kind = f"{tool}-narrow" if narrow else tool
    folder, part = source.with_suffix(f".{kind}"), source.with_suffix(f".{kind}.part")
    file = "model.xml" if tool == "nncf" else "model.onnx"
    if not folder.exists():
        part.mkdir(exist_ok=True)
        numpy.save(part / "photos.npy", photos)
        command = [sys.executable, QUANTIZE, tool, source, part / "photos.npy", part / file]
        subprocess.run(command + ["--narrow"] * narrow, check=True, stdout=sys.stderr)
        part.rename(folder)
    return folder / file


def openvino_session(path, inputs, threads, precision, streams):
    """With `streams` each thread encodes single images, else all threads work on the batch.

    The layers of an int8 model which are not quantized run in the precision that
    OpenVINO chooses.
    """
    core = openvino.Core()
    model = core.read_model(path)
    parts = numpy.split(inputs, len(inputs)) if streams else [inputs]
    model.reshape(parts[0].shape)
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads if streams else 1}
    options["PERFORMANCE_HINT"] = "THROUGHPUT" if streams else "LATENCY"
    if precision in FLOATS:
        options["INFERENCE_PRECISION_HINT"] = precision
    compiled = core.compile_model(model, "CPU", options)
    if compiled.get_property("INFERENCE_NUM_THREADS") < threads:  # it leaves second threads of a core out unasked
        compiled = core.compile_model(model, "CPU", {**options, "ENABLE_HYPER_THREADING": True})
    requests = [compiled.create_infer_request() for _ in parts]
    for request, part in zip(requests, parts):
        request.set_input_tensor(openvino.Tensor(part, shared_memory=True))

    def encode_batch():
        requests[0].infer()
        return requests[0].get_output_tensor().data

    def encode_singly():
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()
        return numpy.concatenate([request.get_output_tensor().data for request in requests])

    return encode_singly if streams else encode_batch


def onnxruntime_session(path, inputs, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("batch", len(inputs))
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": inputs})[0]


def torch_session(model, inputs, threads):
    """TorchScript optimised for inference, which lays the data out for oneDNN by itself.

    With channels_last inputs it was not faster, and without these passes much slower.
    """
    torch.set_num_threads(threads)
    values = torch.from_numpy(inputs)
    with torch.no_grad():
        script = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, values)))

    def encode():
        with torch.no_grad():
            return script(values).numpy()

    return encode


def peers(network, inputs, threads, precisions):
    """All the sessions that can run here, as {(engine, precision): function}.

    OpenVINO gets both int8 models, as it depends on the network which one is faster.
    """
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    sessions = {}
    for streams in (False, True)[:1 + (len(inputs) > 1)]:
        suffix = " streams" if streams else ""
        for precision, capability in FLOATS.items():
            if precision in precisions and capability in capabilities:
                sessions["OpenVINO" + suffix, precision] = openvino_session(
                    network.onnx, inputs, threads, precision, streams)
        for tool, path in network.int8.items():
            sessions[f"OpenVINO {tool}{suffix}", "int8"] = openvino_session(path, inputs, threads, "int8", streams)
    if "f32" in precisions:
        sessions["ONNX Runtime", "f32"] = onnxruntime_session(network.onnx, inputs, threads)
        sessions["torch", "f32"] = torch_session(network.model, inputs, threads)
    if "int8" in precisions:
        sessions["ONNX Runtime", "int8"] = onnxruntime_session(network.int8["qdq"], inputs, threads)
    return sessions


def versions():
    return {name: importlib.metadata.version(name) for name in ("openvino", "nncf", "onnxruntime", "torch")}
