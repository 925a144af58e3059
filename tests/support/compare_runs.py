"""What differs between two run directories, besides times: used by same_numbers.py."""
import json
import pathlib
import re
import struct

import numpy
from PIL import Image

# Fields that say how long something took. Everything else must be equal, floats to their last bit.
TIMES = re.compile(r"(^|_)seconds$|_per_second$|^slowest_")
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "u1"}


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not TIMES.search(key)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def json_differences(before, after, at=""):
    """Lines `path: value in BEFORE / value in AFTER`, in the order of BEFORE. NaN equals NaN."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            path = f"{at}.{key}" if at else key
            if key not in after:
                yield f"{path}: only BEFORE has it, {shown(before[key])}"
            elif key not in before:
                yield f"{path}: only AFTER has it, {shown(after[key])}"
            else:
                yield from json_differences(before[key], after[key], path)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after)):
            yield from json_differences(*pair, f"{at}[{index}]")
    elif type(before) is not type(after) or repr(before) != repr(after):
        yield f"{at}: {shown(before)} / {shown(after)}"


def shown(value):
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_json(path):
    return json.loads(path.read_text()) if path.exists() else None


def read_lines(path, times=False):
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return lines if times else without_times(lines)


def line_differences(before, after):
    """Of two lists of objects that have a step: the first differences by step, then missing lines."""
    for one, other in zip(before, after):
        yield from (f"step {one.get('step')}: {text}" for text in json_differences(one, other))
    if len(before) != len(after):
        yield f"{len(before)} lines / {len(after)} lines"


def tensors(data):
    """({tensor: (dtype, shape, bytes)}, metadata) of a safetensors file."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", None)
    body = memoryview(data)[8 + size :]
    return {name: (entry["dtype"], entry["shape"], bytes(body[slice(*entry["data_offsets"])])) for name, entry in header.items()}, metadata


def values(dtype, data):
    array = numpy.frombuffer(data, DTYPES[dtype])
    if dtype == "BF16":
        array = (array.astype("<u4") << 16).view("<f4")
    return array.astype(numpy.float64)


def tensor_differences(before, after):
    """Of two safetensors files as bytes: which tensors differ by how much, or that the header alone does."""
    if before == after:
        return
    one, one_metadata = tensors(before)
    other, other_metadata = tensors(after)
    count = 0
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in other or name not in one:
            yield f"only {'BEFORE' if name in one else 'AFTER'} has the tensor {name}"
        elif one[name][:2] != other[name][:2]:
            yield f"{name} is {one[name][0]} {one[name][1]} / {other[name][0]} {other[name][1]}"
        elif one[name][2] != other[name][2]:
            left, right = values(one[name][0], one[name][2]), values(other[name][0], other[name][2])
            apart = numpy.abs(left - right)
            yield f"{name} differs in {numpy.count_nonzero(~(left == right))} of {left.size} values, by {numpy.nanmax(apart, initial=0):.3g} at most"
        else:
            continue
        count += 1
    if count == 0:
        metadata = next(json_differences(one_metadata, other_metadata, "metadata"), "order, offsets or spaces")
        yield f"the header alone differs, all {len(one)} tensors are equal ({metadata})"


def last_checkpoint(run):
    found = sorted((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    return found[-1] if found else None


def checkpoint_differences(before, after):
    """Of the newest checkpoints of two runs."""
    one, other = last_checkpoint(before), last_checkpoint(after)
    if one is None or other is None or one.name != other.name:
        if one or other:
            yield f"the last one is {one and one.name} / {other and other.name}"
        return
    names = [{path.name for path in folder.iterdir()} for folder in (one, other)]
    for name in sorted(names[0] ^ names[1]):
        yield f"only {'BEFORE' if name in names[0] else 'AFTER'} has {name}"
    for name in sorted(name for name in names[0] & names[1] if name.endswith(".safetensors")):
        yield from (f"{name}: {text}" for text in tensor_differences((one / name).read_bytes(), (other / name).read_bytes()))
    # What it says of its files follows from their bytes, and its own hash from that.
    manifests = [{key: value for key, value in read_json(folder / "manifest.json").items() if key not in ("files", "xxh3_64")} for folder in (one, other)]
    yield from (f"manifest.json: {text}" for text in json_differences(*manifests))


def picture_differences(before, after):
    names = [{path.name for path in run.glob("*.png")} for run in (before, after)]
    for name in sorted(names[0] | names[1]):
        if name not in names[0] & names[1]:
            yield f"only {'BEFORE' if name in names[0] else 'AFTER'} has {name}"
        elif (before / name).read_bytes() != (after / name).read_bytes():
            one, other = (numpy.asarray(Image.open(run / name).convert("RGB")) for run in (before, after))
            if one.shape != other.shape:
                yield f"{name}: {one.shape} / {other.shape}"
            elif (one != other).any():
                yield f"{name}: {numpy.count_nonzero((one != other).any(-1))} of {one.shape[0] * one.shape[1]} pixels differ"
            else:
                yield f"{name}: the file differs, its pixels are equal"


def run_differences(before, after):
    """{part of the run: its differences}, in the order in which a run makes them. Parts that neither run has are left out."""
    before, after = pathlib.Path(before), pathlib.Path(after)
    out = {}

    def part(name, there, differences):
        if there:
            out[name] = list(differences)

    for name, file in (("data", "data.json"), ("result", "result.json")):
        one, other = (without_times(read_json(run / file)) for run in (before, after))
        part(name, one or other, json_differences(one, other))
    for name, file in (("metrics", "metrics.jsonl"), ("evaluations", "evaluations.jsonl"), ("quarantine", "quarantine.jsonl")):
        one, other = read_lines(before / file), read_lines(after / file)
        part(name, one or other, line_differences(one, other))
    part("checkpoint", last_checkpoint(before) or last_checkpoint(after), checkpoint_differences(before, after))
    part("pictures", [*before.glob("*.png"), *after.glob("*.png")], picture_differences(before, after))
    order = ("data", "metrics", "evaluations", "quarantine", "checkpoint", "pictures", "result")
    return {name: out[name] for name in order if name in out}


def resolved_differences(before, after):
    """Of the flat nodes and models of the resolved pipelines, and of the run's parameters; not of the version that wrote them."""
    keys = ("seed", "run", "models", "nodes")
    one, other = ({key: read_json(pathlib.Path(run) / "pipeline.resolved.json").get(key) for key in keys} for run in (before, after))
    return list(json_differences(one, other))
