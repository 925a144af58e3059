#!/usr/bin/env python3
"""The layout follows the data, and stays so: includes between layers, one node type per file, short headers, READMEs that list every room.

    check_layout.py SOURCE_TREE
"""
import pathlib
import re
import sys

# The rooms of each district, in order: a room includes rooms to its left, in its own district and in those that the district may
# see. What lies loose in a district is its ground, which every room may include.
DISTRICTS = {
    "graph": ("text", "contract", "compose", "check", "plan", "measure", "run", "engine"),
    "io": ("codec", "resize", "folders", "stores", "tables", "shards", "pack", "run", "arrow"),
    "nodes/lib/host": ("device", "types", "text", "source", "image", "mask", "python"),
    "nodes/lib/tensor": ("device", "kernels", "cuda", "types", "ranks", "model", "target", "optim", "loss", "metric", "report"),
    "nodes": ("source", "image", "grid", "text", "mask", "batch", "device", "pretext", "encode", "tokens", "maps", "head", "vectors", "targets", "mim", "supervised", "loss", "whole", "train", "eval", "report", "model"),
    "tools/app": ("http", "load", "draw", "run", "sweep", "results", "replay", "weights", "embed", "speed", "plan", "begin", "web"),
    "tools/flowrun": ("cli",),
    "tools/python": (),
    "tools": (),
}
# What a district sees of others: all of one, or some rooms. graph/node.h is the door of graph/, and sees what stands behind it.
CONTRACT = {"graph": ("text", "contract")}
SEES = {
    "graph": {},
    "io": {},
    "nodes/lib/host": {**CONTRACT, "io": DISTRICTS["io"]},
    "nodes/lib/tensor": {**CONTRACT, "io": DISTRICTS["io"], "nodes/lib/host": ("device", "types")},
    "nodes": {**CONTRACT, "io": DISTRICTS["io"], "nodes/lib/host": DISTRICTS["nodes/lib/host"], "nodes/lib/tensor": DISTRICTS["nodes/lib/tensor"]},
    "tools/app": {"graph": DISTRICTS["graph"], "io": ("codec", "resize", "run"), "nodes/lib/host": ("types", "mask"), "nodes/lib/tensor": ("model", "optim", "report")},
    "tools/flowrun": {**CONTRACT, "io": ("codec", "stores", "shards", "pack", "run"), "tools/app": DISTRICTS["tools/app"]},
    "tools/python": {**CONTRACT, "tools/app": DISTRICTS["tools/app"]},
    "tools": {},
}
# Nodes that run on the host know nothing of tensors.
HOST_NODES = ("nodes/source", "nodes/image", "nodes/grid", "nodes/text", "nodes/mask", "nodes/batch")
# Which headers of libraries a district may include, as prefixes; those of C++ and of the system always.
JPEG, PNG, TIFF, GIF = ("jpeglib.h", "jerror.h"), ("png.h",), ("tiffio.h",), ("gif_lib.h",)
WEBP, ZSTD = ("webp/",), ("zstd.h",)
TENSORS = ("ATen/", "c10/", "torch/")
LIBRARIES = {
    "graph": ("oneapi/tbb/", "nlohmann/", "spdlog/", "xxhash.h"),
    "io": ("nlohmann/", "xxhash.h", "hwy/", *JPEG, *PNG, *TIFF, *GIF, *WEBP, *ZSTD),
    "io/arrow": ("nlohmann/", "arrow/", "parquet/"),
    "nodes/lib/host": ("nlohmann/",),
    "nodes/lib/tensor": ("nlohmann/", *TENSORS),
    "nodes/lib/tensor/cuda": ("cuda", "nvtx3/", "nvjpeg.h", "nccl.h", "cub/", *TENSORS),
    "nodes": ("nlohmann/", *TENSORS),
    "tools/app": ("nlohmann/",),
    "tools/flowrun": ("nlohmann/", "CLI/"),
    "tools/python": ("nanobind/", "Python.h"),
    "tools": (),
}
# Headers of C++ and of C, and of POSIX and Linux.
STANDARD = re.compile(r"^[a-z_]+$")
SYSTEM = ("sys/", "netinet/", "arpa/", "sanitizer/", "unistd.h", "fcntl.h", "dlfcn.h", "poll.h", "netdb.h", "sched.h", "spawn.h", "immintrin.h", "emmintrin.h", "x86intrin.h")
# Whole-library headers cost seconds in every file that includes them.
WIDE = re.compile(r"^(torch/torch\.h|torch/extension\.h|ATen/ATen\.h|torch/nn)")
# Names of files need not be UTF-8, for which nlohmann's dump() throws: these files write JSON safely. One for each ground
# layer.
JSON_WRITERS = {"graph/text/json_text.cpp", "io/json_text.cpp"}
MAX_HEADER_LINES = 300


def includes(text):
    return [(n, m[1], m[2]) for n, line in enumerate(text.splitlines(), 1) if (m := re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line))]


def is_system(name):
    return bool(STANDARD.match(name)) or name.startswith(SYSTEM)


def district_and_room(path):
    """Of a path from the source tree: ("io", "codec"); the room is empty for what lies loose, the district None outside of all."""
    for district in sorted(DISTRICTS, key=len, reverse=True):
        if path.startswith(district + "/"):
            rest = path[len(district) + 1:].split("/")
            return district, rest[0] if len(rest) > 1 else ""
    return None, ""


def may_include(path, name):
    district, room = district_and_room(path)
    other, other_room = district_and_room(name)
    if other is None:
        return False
    if other != district:
        if path.startswith(HOST_NODES) and other == "nodes/lib/tensor":
            return False
        return other in SEES[district] and (not other_room or other_room in SEES[district][other])
    rooms = DISTRICTS[district]
    if not rooms or room == other_room or not other_room:
        return True
    if not room:  # the door sees what stands behind it
        return other_room in CONTRACT.get(district, ())
    return district != "nodes" and rooms.index(other_room) < rooms.index(room)


def check_includes(path, text):
    district, room = district_and_room(str(path))
    libraries = LIBRARIES.get(f"{district}/{room}", LIBRARIES[district])
    for line, kind, name in includes(text):
        where = f"{path}:{line}"
        if kind == '"' and district_and_room(name)[0] is None:
            yield f"{where}: include project files by their path from the source tree, not \"{name}\""
        elif kind == '"' and not may_include(str(path), name):
            yield f"{where}: may not include {name}: see DISTRICTS and SEES in tests/support/check_layout.py"
        elif kind == "<" and not name.startswith(libraries) and not is_system(name):
            yield f"{where}: {district}/ may not include <{name}>"
        elif kind == "<" and str(path).startswith(HOST_NODES) and name.startswith(TENSORS):
            yield f"{where}: nodes of the host may not include <{name}>"
        if name.endswith(".cpp"):
            yield f"{where}: a source file is included"
        if WIDE.match(name):
            yield f"{where}: include the narrowest header instead of {name}"


def check_room(path):
    district, room = district_and_room(str(path))
    if DISTRICTS[district] and room and room not in DISTRICTS[district]:
        yield f"{path}: {district}/{room} is no room of check_layout.py's DISTRICTS"


def check_nodes(path, text):
    types = re.findall(r'^FLOWRUN_(?:NODE|MODEL)\((\w+)\)', text, re.M)
    names = re.findall(r'\.type = "([^"]+)"', text)
    if len(types) > 1:
        yield f"{path}: one node type per file, here are {len(types)}"
    if types and path.suffix != ".cpp":
        yield f"{path}: a node type belongs into a .cpp of its own"
    for name in names:
        family, _, short = name.partition(".")
        folder = path.parent.name
        if folder != family:
            yield f"{path}: {name} belongs into nodes/{family}/"
        if path.stem not in (short, short.removeprefix(family + "_")):
            yield f"{path}: {name} belongs into {short}.cpp"


PRINTS = re.compile(r"\b(std::(cout|cerr|clog)|f?printf\(|puts\(|fputs\(|std::printf|stdout|stderr|STD(OUT|ERR)_FILENO)")


def check_silence(path, text):
    """A run as a library tells its caller what there is to say (tools/app/say.h, run/caller.h)."""
    if district_and_room(str(path))[0] != "tools/app":
        return
    for line, content in enumerate(text.splitlines(), 1):
        if PRINTS.search(content.split("//")[0]):
            yield f"{path}:{line}: tools/app may not print: the caller does"


# Rooms, and files of other rooms, that ask nodes and types for all that they need to know.
ASKS = re.compile(r"tools/app/(plan|replay)/|tools/app/load/shapes\.|tools/flowrun/cli/(plan|replay|sample_)\w*\.")
TYPE_NAME = re.compile(r'(host|device)_types\.h|::type_name|"(%s)\.\w+"' % "|".join(DISTRICTS["nodes"]))


def check_self_description(path, text):
    """plan and replay ask nodes and types, and mention none."""
    if not ASKS.match(str(path)):
        return
    for line, content in enumerate(text.splitlines(), 1):
        if TYPE_NAME.search(content):
            yield f"{path}:{line}: mentions a type: let it tell what you need (graph/contract/planned.h, shown.h)"


def check_readme(root, district):
    """The README of a district with several rooms has a line for each of them, in a table."""
    readme, rooms = root / district / "README.md", DISTRICTS[district]
    if len(rooms) < 2:
        return
    listed = set(re.findall(r"^\| `(\w+)` \|", readme.read_text(), re.M)) if readme.exists() else set()
    for room in rooms:
        if (root / district / room).is_dir() and room not in listed:
            yield f"{district}/README.md: has no line for the room {room}"
    for room in listed - {*rooms}:
        yield f"{district}/README.md: {room} is no room of check_layout.py's DISTRICTS"


def faults_of(root):
    """All faults of a source tree, and how many files were read."""
    faults = [fault for district in DISTRICTS for fault in check_readme(root, district)]
    count = 0
    for top in ("graph", "io", "nodes", "tools"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".cu", ".cuh"):
                continue
            count += 1
            text = path.read_text()
            relative = path.relative_to(root)
            faults += [*check_includes(relative, text), *check_room(relative), *check_self_description(relative, text), *check_silence(relative, text)]
            if top == "nodes" and "lib" not in relative.parts:
                faults += check_nodes(relative, text)
            if re.search(r"(\.|->)dump\(", text) and str(relative) not in JSON_WRITERS:
                faults.append(f"{relative}: write JSON by json_text()")
            if path.suffix in (".h", ".cuh") and text.count("\n") > MAX_HEADER_LINES:
                faults.append(f"{relative}: {text.count(chr(10))} lines; headers have at most {MAX_HEADER_LINES}")
            if path.suffix == ".h" and "#pragma once" not in text:
                faults.append(f"{relative}: no #pragma once")
    return faults, count


def main():
    faults, count = faults_of(pathlib.Path(sys.argv[1]))
    print("\n".join(faults))
    print(f"{count} files, {len(faults)} faults")
    sys.exit(1 if faults or count < 50 else 0)


if __name__ == "__main__":
    main()
