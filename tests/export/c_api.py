"""Runs signatures of a SavedModel through TensorFlow's C interface, without its Python.

Usage: c_api.py FOLDER-OF-TENSORFLOW MODEL IN.npz OUT.npz, where IN.npz has arrays by
"signature/input". OUT.npz has them by "signature/output", or the error's text as "signature/error".
"""

import ctypes
import sys

import numpy as np

DTYPES = {1: "float32", 3: "int32", 4: "uint8", 10: "bool"}  # of tensorflow.DataType


def fields(data):
    """Yields (number, value) of a message of Protocol Buffers; bytes where a field has a length."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            yield tag >> 3, data[at : at + (4 if tag & 7 == 5 else 8)]
            at += 4 if tag & 7 == 5 else 8


def signature_defs(meta_graph):
    """Returns {signature: ({input: (tensor, dtype)}, {output: ...})} of a `MetaGraphDef`."""
    found = {}
    for number, value in fields(meta_graph):
        if number == 5:  # MetaGraphDef.signature_def
            entry = dict(fields(value))
            sides = {1: {}, 2: {}}  # SignatureDef.inputs and outputs
            for side, item in fields(entry[2]):
                if side in sides:
                    pair = dict(fields(item))
                    info = dict(fields(pair[2]))  # TensorInfo: name, dtype
                    sides[side][pair[1].decode()] = (info[1].decode(), info.get(2))
            found[entry[1].decode()] = (sides[1], sides[2])
    return found


class Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    ]


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Session:
    """A SavedModel in a session of the C interface."""

    def __init__(self, tensorflow, model):
        self.core = ctypes.CDLL(f"{tensorflow}/libtensorflow_framework.so.2", ctypes.RTLD_GLOBAL)
        self.lib = ctypes.CDLL(f"{tensorflow}/libtensorflow_cc.so.2", ctypes.RTLD_GLOBAL)
        self.status = self.of(self.core, "TF_NewStatus")()
        self.graph = self.of(self.lib, "TF_NewGraph")()
        meta = Buffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = self.of(self.lib, "TF_LoadSessionFromSavedModel")(
            *map(ctypes.c_void_p, [self.of(self.lib, "TF_NewSessionOptions")(), None]),
            ctypes.c_char_p(model.encode()), tags, 1,
            ctypes.c_void_p(self.graph), ctypes.byref(meta), ctypes.c_void_p(self.status),
        )  # fmt: skip
        self.check()
        self.signatures = signature_defs(ctypes.string_at(meta.data, meta.length))

    def of(self, library, name, result=ctypes.c_void_p):
        function = getattr(library, name)
        function.restype = result
        return function

    def check(self):
        status = ctypes.c_void_p(self.status)
        if self.of(self.core, "TF_GetCode", ctypes.c_int)(status):
            raise RuntimeError(self.of(self.core, "TF_Message", ctypes.c_char_p)(status).decode())

    def place(self, tensor):
        name, _, index = tensor.partition(":")
        operation = self.of(self.lib, "TF_GraphOperationByName")(
            ctypes.c_void_p(self.graph), name.encode()
        )
        return Output(operation, int(index or 0))

    def tensor(self, array, dtype):
        array = np.ascontiguousarray(array, DTYPES[dtype])
        sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
        size = ctypes.c_size_t(array.nbytes)
        made = self.of(self.core, "TF_AllocateTensor")(dtype, sizes, array.ndim, size)
        data = self.of(self.core, "TF_TensorData")(ctypes.c_void_p(made))
        ctypes.memmove(data, array.ctypes.data, array.nbytes)
        return made

    def array(self, made):
        made, dim = ctypes.c_void_p(made), self.of(self.core, "TF_Dim", ctypes.c_int64)
        rank = self.of(self.core, "TF_NumDims", ctypes.c_int)(made)
        dtype = DTYPES[self.of(self.core, "TF_TensorType", ctypes.c_int)(made)]
        size = self.of(self.core, "TF_TensorByteSize", ctypes.c_size_t)(made)
        data = ctypes.string_at(self.of(self.core, "TF_TensorData")(made), size)
        return np.frombuffer(data, dtype).reshape([dim(made, i) for i in range(rank)])

    def run(self, signature, inputs):
        takes, gives = self.signatures[signature]
        places = (Output * len(takes))(*(self.place(t) for t, _ in takes.values()))
        values = (ctypes.c_void_p * len(takes))(
            *(self.tensor(inputs[name], dtype) for name, (_, dtype) in takes.items())
        )
        wanted = (Output * len(gives))(*(self.place(t) for t, _ in gives.values()))
        results = (ctypes.c_void_p * len(gives))()
        self.of(self.lib, "TF_SessionRun")(
            ctypes.c_void_p(self.session), None,
            places, values, len(takes), wanted, results, len(gives),
            None, 0, None, ctypes.c_void_p(self.status),
        )  # fmt: skip
        self.check()
        return {name: self.array(made) for name, made in zip(gives, results, strict=True)}


if __name__ == "__main__":
    tensorflow, model, given, out = sys.argv[1:]
    session, requests, answers = Session(tensorflow, model), {}, {}
    for key, value in np.load(given).items():
        signature, _, name = key.partition("/")
        requests.setdefault(signature, {})[name] = value
    for request, inputs in requests.items():
        try:
            answer = session.run(request.partition("@")[0], inputs)
        except RuntimeError as error:
            answer = {"error": str(error)}
        answers |= {f"{request}/{name}": value for name, value in answer.items()}
    foreign = {"tensorflow", "keras", "tensorflow_probability", "tfvae"} & set(sys.modules)
    np.savez(out, **answers, signatures=sorted(session.signatures), foreign=sorted(foreign))
