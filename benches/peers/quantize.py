"""Quantizes an ONNX file to int8, by NNCF for OpenVINO or by ONNX Runtime as QDQ.

usage: quantize.py nncf|qdq INPUT.onnx CALIBRATION.npy OUTPUT [--narrow]

A process of its own, which never loads torch: NNCF works without torch, but where it
finds one it wants a newer torch than distributions ship. `--narrow` gives the weights
of ONNX Runtime 7 bits, as its manual asks for on CPUs without VNNI, whose 16 bit sums
of products would saturate; NNCF sees to this by itself.
"""
import sys

sys.modules["torch"] = None

import numpy


def with_nncf(source, photos, target):
    import nncf
    import openvino

    dataset = nncf.Dataset(list(numpy.split(photos, len(photos))))
    model = nncf.quantize(openvino.Core().read_model(source), dataset, subset_size=len(photos))
    openvino.save_model(model, target, compress_to_fp16=False)


def with_onnxruntime(source, photos, target, narrow):
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Photos(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = iter(numpy.split(photos, len(photos)))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"input": batch}

    prepared = target + ".prepared"
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantization.quantize_static(
        prepared, target, Photos(), quant_format=quantization.QuantFormat.QDQ, per_channel=True, reduce_range=narrow,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)


def main():
    tool, source, calibration, target, *narrow = sys.argv[1:]
    photos = numpy.load(calibration)
    if tool == "nncf":
        with_nncf(source, photos, target)
    else:
        with_onnxruntime(source, photos, target, bool(narrow))


if __name__ == "__main__":
    main()
