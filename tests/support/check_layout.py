#!/usr/bin/env python3
"""The layout follows the data, and stays so: includes between layers, one node type per file, short headers.

    check_layout.py SOURCE_TREE
"""
import pathlib
import re
import sys

# The includes that a folder may have, from the project and from libraries (as prefixes; other headers of a library are
# a fault).
PROJECT = {
    "graph": {"graph"},
    "io": {"io"},
    "nodes": {"nodes", "graph", "io"},
    "tools": {"tools", "nodes", "graph", "io"},
}
LIBRARIES = {
    "graph": ("oneapi/tbb/", "nlohmann/", "spdlog/", "xxhash.h"),
    "io": ("nlohmann/", "jpeglib.h", "jerror.h", "png.h", "tiffio.h", "gif_lib.h", "xxhash.h"),
    "nodes": ("ATen/", "c10/", "torch/", "nlohmann/"),
    "tools": ("nlohmann/", "CLI/"),
}
# Whole-library headers cost seconds in every file that includes them.
WIDE = re.compile(r"^(torch/torch\.h|torch/extension\.h|ATen/ATen\.h|torch/nn)")
# Names of files need not be UTF-8, for which nlohmann's dump() throws: these files write JSON safely. One for each ground
# layer.
JSON_WRITERS = {"graph/json_text.h", "io/json_text.h"}
MAX_HEADER_LINES = 300
MODEL_FOLDERS = {"resource"}


def includes(text):
    return [(n, m[1], m[2]) for n, line in enumerate(text.splitlines(), 1) if (m := re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line))]


def check_includes(path, top, text):
    for line, kind, name in includes(text):
        where = f"{path}:{line}"
        first = name.split("/")[0]
        if kind == '"' and first in PROJECT and first not in PROJECT[top]:
            yield f"{where}: {top}/ may not include {first}/"
        elif kind == '"' and first not in PROJECT:
            yield f"{where}: include project files by their path from the source tree, not \"{name}\""
        elif kind == "<" and ("/" in name or name.endswith(".h")) and not is_system(name) and not name.startswith(LIBRARIES[top]):
            yield f"{where}: {top}/ may not include <{name}>"
        if name.endswith(".cpp"):
            yield f"{where}: a source file is included"
        if WIDE.match(name):
            yield f"{where}: include the narrowest header instead of {name}"


def is_system(name):
    """Headers of the C and C++ libraries and of the system."""
    return not name.startswith(("oneapi", "nlohmann", "spdlog", "ATen", "c10", "torch", "CLI", "fmt", "tbb", "gtest", "gmock")) and name not in ("jpeglib.h", "jerror.h", "png.h", "tiffio.h", "gif_lib.h", "xxhash.h")


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
        if folder != family and not (family == "model" and folder in MODEL_FOLDERS):
            yield f"{path}: {name} belongs into nodes/{family}/"
        if path.stem not in (short, short.removeprefix(family + "_")):
            yield f"{path}: {name} belongs into {short}.cpp"


def main():
    root = pathlib.Path(sys.argv[1])
    faults = []
    count = 0
    for top in PROJECT:
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".cu", ".cuh"):
                continue
            count += 1
            text = path.read_text()
            relative = path.relative_to(root)
            faults += check_includes(relative, top, text)
            if top == "nodes":
                faults += check_nodes(relative, text)
            if re.search(r"(\.|->)dump\(", text) and str(relative) not in JSON_WRITERS:
                faults.append(f"{relative}: write JSON by json_text()")
            if path.suffix in (".h", ".cuh") and text.count("\n") > MAX_HEADER_LINES:
                faults.append(f"{relative}: {text.count(chr(10))} lines; headers have at most {MAX_HEADER_LINES}")
            if path.suffix == ".h" and "#pragma once" not in text:
                faults.append(f"{relative}: no #pragma once")
    print("\n".join(faults))
    print(f"{count} files, {len(faults)} faults")
    sys.exit(1 if faults or count < 50 else 0)


if __name__ == "__main__":
    main()
