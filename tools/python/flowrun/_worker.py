"""The process that runs the nodes of one file of Python: `python _worker.py FILE`, started by the program (nodes/lib/host/python/worker.h).

File 3 is a socket, file 4 memory that both processes see. The constants are worker.cpp's.
"""
import importlib
import importlib.util
import json
import mmap
import os
import pathlib
import signal
import socket
import struct
import sys
import traceback

OPEN, CALL, DONE, ERROR, BAD_SAMPLE = 1, 2, 3, 4, 5
PAGE, SLOT, INSTANCE, ADDRESS, SIZE, INPUTS, OUTPUTS = 4096, 8, 0, 1, 6, 8, 256
NONE, U8, I64, TEXT, BOOLEAN = 0, 1, 2, 3, 4


class Closed(Exception):
    """The program has ended, or needs this process no more."""


class Memory:
    def __init__(self, np, file):
        self.np, self.file = np, file
        self.map_again(PAGE)

    def map_again(self, size):
        self.map, self.size = mmap.mmap(self.file, size), size
        self.words = self.np.frombuffer(self.map, self.np.int64, PAGE // 8)

    def inputs(self):
        size = int(self.words[SIZE])
        if size > self.size:
            self.map_again(size)
        table = self.words[INPUTS + 1:INPUTS + 1 + SLOT * int(self.words[INPUTS])].reshape(-1, SLOT).tolist()
        self.end = PAGE
        return [self.array(*slot) for slot in table]

    def array(self, element, axes, offset, *sizes):
        if element == NONE:
            return None
        count = 1
        for size in sizes[:axes]:
            count *= size
        kind = self.np.int64 if element == I64 else self.np.uint8
        self.end = max(self.end, offset + count * kind().itemsize)
        if element == TEXT:
            return bytes(self.map[offset:offset + count])
        return self.np.frombuffer(self.map, kind, count, offset).reshape(sizes[:axes])

    def put(self, arrays):
        """`arrays`: (element, array or None), contiguous. Behind the inputs, which the results may still point into."""
        offset = (self.end + 63) // 64 * 64
        places = []
        for _, array in arrays:
            places.append(offset)
            offset += 0 if array is None else (array.nbytes + 63) // 64 * 64
        if offset > self.size:
            os.ftruncate(self.file, offset)
            self.map_again(offset)
        self.words[SIZE], self.words[OUTPUTS] = self.size, len(arrays)
        for i, ((element, array), place) in enumerate(zip(arrays, places)):
            slot = self.words[OUTPUTS + 1 + SLOT * i:OUTPUTS + 1 + SLOT * (i + 1)]
            if array is None:
                slot[0] = NONE
                continue
            slot[0], slot[1], slot[2] = element, array.ndim, place
            slot[3:3 + array.ndim] = array.shape
            self.np.frombuffer(self.map, array.dtype, array.size, place)[:] = array.reshape(-1)


class Worker:
    def __init__(self, file, connection, node, np):
        self.file, self.connection, self.node, self.np = file, connection, node, np
        self.memory, self.instances = Memory(np, 4), {}

    def receive(self, size):
        out = bytearray()
        while len(out) < size:
            part = self.connection.recv(size - len(out))
            if not part:
                raise Closed
            out += part
        return bytes(out)

    def answer(self, kind, text=""):
        data = text.encode(errors="replace")
        self.connection.sendall(struct.pack("=II", kind, len(data)) + data)

    def serve(self):
        try:
            while True:
                kind, length = struct.unpack("=II", self.receive(8))
                text = self.receive(length)
                try:
                    self.answer(DONE, json.dumps(self.open(json.loads(text)))) if kind == OPEN else self.call()
                except self.node.BadSample as error:
                    self.answer(BAD_SAMPLE, str(error) or "a bad sample")
                except Exception as error:
                    self.answer(ERROR, fault(error))
        except (Closed, BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def open(self, request):
        declared = self.node.declared[request["type"]]
        own = {param["name"] for param in declared.description["params"]}
        made = declared.make({name: value for name, value in request["params"].items() if name in own})
        alive = set(request["alive"])
        self.instances = {number: one for number, one in self.instances.items() if number in alive}
        self.instances[request["instance"]] = (declared, made)
        if declared.description["scope"] != "source":
            return {}
        size, key = len(made), getattr(made, "key", None)
        classes = [str(name) for name in getattr(made, "classes", [])]
        labels = [int(label) for label in made.labels] if classes else []
        if classes and len(labels) != size:
            raise ValueError(f"there are {len(labels)} labels for {size} samples")
        if labels and not -1 <= min(labels) <= max(labels) < len(classes):
            raise ValueError(f"labels are {min(labels)} to {max(labels)}, but there are {len(classes)} classes")
        return {"size": size, "keys": [str(key(i)) for i in range(size)] if key else [], "labels": labels, "classes": classes}

    def call(self):
        words = self.memory.words
        declared, made = self.instances[int(words[INSTANCE])]
        seed, stream, epoch, item, position = words[ADDRESS:ADDRESS + 5].view(self.np.uint64).tolist()
        given = {}
        if "rng" in declared.call:
            random = self.np.random
            given["rng"] = random.Generator(random.Philox(key=[seed, stream], counter=[0, 0, epoch, item]))
        if "sample" in declared.call:
            given["sample"] = self.node.Sample(item, epoch, position)
        inputs, scope = self.memory.inputs(), declared.description["scope"]
        if scope == "mask":
            results = self.masks(made(*map(int, inputs[0]), **given), *map(int, inputs[0]))
        else:
            results = self.from_source(declared, made, item) if scope == "source" else self.results(
                declared.outputs, made(*self.python_values(declared, inputs), **given))
        self.memory.put(results)
        self.answer(DONE)

    def python_values(self, declared, inputs):
        ports = [port["type"] for port in declared.description["ports"] if port["input"]]
        return [None if value is None else from_array(kind, value) for kind, value in zip(ports, inputs)]

    def from_source(self, declared, made, item):
        if not hasattr(made, "classes"):
            return self.results(declared.outputs, made[item])
        return [*self.results(declared.outputs[:-1], made[item]), to_array(self.np, "label", int(made.labels[item]))]

    def results(self, ports, got):
        values = (got,) if len(ports) == 1 else got
        if len(ports) > 1 and (not isinstance(got, (tuple, list)) or len(got) != len(ports)):
            raise TypeError(f"the result must be a tuple of {len(ports)}: " + ", ".join(ports))
        return [to_array(self.np, kind, value) for kind, value in zip(ports, values)]

    def masks(self, got, images, grid):
        np = self.np
        if not isinstance(got, self.node.Masks):
            hidden = np.ascontiguousarray(got)
            if hidden.dtype != bool or hidden.size != images * grid * grid:
                raise TypeError(f"a mask function returns bool, {images} x {grid * grid}, not {hidden.dtype} of shape {hidden.shape}")
            return [(BOOLEAN, hidden.reshape(images, grid * grid)), (NONE, None)]
        visible, targets = (np.ascontiguousarray(part, np.int64) for part in (got.visible, got.targets))
        if visible.ndim != 2 or targets.ndim != 3 or len(visible) != images or len(targets) != images:
            raise TypeError(f"Masks are visible {images} x K and targets {images} x R x M, not {visible.shape} and {targets.shape}")
        return [(I64, visible), (I64, targets)]


def from_array(kind, value):
    if kind == "bytes":
        return value.tobytes()
    if kind == "caption":
        return json.loads(value)
    return int(value) if kind == "label" and value.ndim == 0 else value


def to_array(np, kind, value):
    """(element, contiguous array). Raises TypeError that says what is expected."""
    if kind == "bytes":
        return U8, np.frombuffer(bytes(value), np.uint8)
    if kind == "caption":
        texts = [value] if isinstance(value, str) else list(value)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("a caption is a string, or a list of strings")
        return TEXT, np.frombuffer(json.dumps(texts).encode(), np.uint8)
    array = np.asarray(value)
    if kind in ("label", "region"):
        if array.dtype.kind not in "iu" or (kind == "label" and array.ndim > 1) or (kind == "region" and array.reshape(-1, 4).size == 0):
            raise TypeError(f"a {kind} is made of integers, not {array.dtype} of shape {array.shape}")
        array = np.ascontiguousarray(array, np.int64)
        return I64, array.reshape(-1, 4) if kind == "region" else array
    axes = (3, 4) if kind == "image" else (2,)
    if array.dtype != np.uint8:
        raise TypeError(f"{'an' if kind == 'image' else 'a'} {kind} is uint8, not {array.dtype}: round and clip it first")
    if array.ndim not in axes or 0 in array.shape:
        raise TypeError(f"an image is H W C, or V H W C of several views, not {array.shape}" if kind == "image" else f"a label map is H W, not {array.shape}")
    return U8, np.ascontiguousarray(array)


def fault(error):
    """The error, and where in the user's code it came from."""
    own = str(pathlib.Path(__file__).parent)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith((own, "<frozen"))]
    places = [f"\n  {frame.filename}:{frame.lineno} in {frame.name}" + (f": {frame.line}" if frame.line else "") for frame in frames]
    if isinstance(error, SyntaxError) and error.filename:
        places.append(f"\n  {error.filename}:{error.lineno}" + (f": {error.text.strip()}" if error.text else ""))
    text = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    return text + "".join(places)


def package():
    """flowrun from the folder of this file, whatever else the interpreter has."""
    folder = pathlib.Path(__file__).absolute().parent
    sys.path[0] = str(folder.parent)
    return importlib.import_module("flowrun._node")


def load(file):
    sys.path[0] = str(file.parent)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program ends the run, and then this
    connection, file = socket.socket(fileno=3), pathlib.Path(sys.argv[1])
    os.dup2(2, 1)  # the program's standard output is its own
    answer = Worker.answer
    try:
        node = package()
        import numpy as np

        worker = Worker(file, connection, node, np)
    except ImportError as error:
        text = f"nodes in Python need numpy, and {sys.executable} says: {error}; FLOWRUN_PYTHON names another interpreter"
        data = text.encode()
        connection.sendall(struct.pack("=II", ERROR, len(data)) + data)
        os._exit(1)
    try:
        load(file)
        if not node.declared:
            raise node.DeclarationError("the file declares no node: use flowrun.node, flowrun.mask or flowrun.source")
        answer(worker, DONE, json.dumps({"nodes": [one.description for one in node.declared.values()]}))
    except BaseException as error:  # noqa: BLE001 - whatever the user's file raises, sys.exit too
        answer(worker, ERROR, f"{file}: {fault(error)}")
        os._exit(1)
    worker.serve()


if __name__ == "__main__":
    main()
