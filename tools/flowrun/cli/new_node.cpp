#include "tools/flowrun/cli/new_node.h"

#include <filesystem>
#include <iostream>
#include <map>
#include <regex>
#include <vector>

#include "graph/node.h"
#include "io/file.h"

namespace flowrun::cli {
namespace {

namespace fs = std::filesystem;

// {include}: these lines include nothing here.
const char* const sample_node = R"(// {type}: turns pictures into their negative with a given chance. Change it into what you need.
{include} "graph/node.h"
{include} "nodes/lib/host/types/host_types.h"

namespace {

using namespace flowrun;

struct {Name} {
  static constexpr NodeInfo info{.type = "{type}", .brief = "Turns pictures into their negative with a given chance.", .scope = Scope::sample};
  struct Ports {
    In<Image> image{"image", "H W 3 u8."};
    Out<Image> out{"image", "The same size."};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    double p = 0.5;
    void describe(auto& param) { param("p", p, Range{0, 1}, "Chance of a negative."); }
  };
  Params params;

  // Const, and a function of its inputs and the context alone: that is what makes runs reproducible.
  void run(Ports& port, const SampleContext& context) const {
    *port.out = *port.image;
    if (!context.rng().chance(params.p)) return;
    for (uint8_t& value : port.out->pixels.pixels) value = static_cast<uint8_t>(255 - value);
  }
};

FLOWRUN_NODE({Name});

}  // namespace
)";

const char* const step_node = R"(// {type}: reports the mean of the normalised pixels of a step. Change it into what you need.
{include} <ATen/ops/mean.h>

{include} "graph/node.h"
{include} "nodes/lib/tensor/types/device_types.h"

namespace {

using namespace flowrun;

struct {Name} {
  static constexpr NodeInfo info{.type = "{type}", .brief = "Reports the mean of the normalised pixels of a step.", .scope = Scope::step,
                                 .moment = Moment::report};
  struct Ports {
    In<DeviceImages> image{"image", "B C H W."};
    void describe(auto& port) { port(image); }
  };

  // Called with every group of the step, in order; run() follows when all of them have come.
  void fold(Ports& port, const FoldContext&) {
    sum_ += at::mean(port.image->images_BCHW).item<double>();
    ++groups_;
  }
  void run(Ports&, StepContext& context) {
    context.report("{name}", sum_ / static_cast<double>(groups_));
    sum_ = 0, groups_ = 0;
  }

 private:
  double sum_ = 0;
  int64_t groups_ = 0;
};

FLOWRUN_NODE({Name});

}  // namespace
)";

const char* const python_sample_node = R"("""{type}: a node in Python (docs/python.md). Change it into what you need."""
from typing import Annotated

import flowrun


@flowrun.node("{type}")
def {name}(image: flowrun.Image, *, p: Annotated[float, flowrun.Range(0, 1), "Chance of a negative."] = 0.5, rng) -> flowrun.Image:
    """Turns pictures into their negative with a given chance."""
    return 255 - image if rng.random() < p else image
)";

const char* const python_mask_node = R"("""{type}: masks in Python (docs/python.md). Change it into what you need."""
from typing import Annotated

import numpy as np

import flowrun


@flowrun.mask("{type}")
def {name}(images: int, grid: int, *, ratio: Annotated[float, flowrun.Range(0, 1), "Share of the patches that is hidden."] = 0.75, rng):
    """Hides random patches, as many in each image."""
    hidden = np.arange(grid * grid) < round(ratio * grid * grid)
    return rng.permuted(np.tile(hidden, (images, 1)), axis=1)  # images x patches
)";

const char* const cmake_file =
    R"(# cmake -S . -B build && cmake --build build, with -DCMAKE_PREFIX_PATH=FOLDER where Flowrun is not installed in a usual place.
cmake_minimum_required(VERSION 3.22)
project({name} LANGUAGES CXX)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_package(flowrun REQUIRED)
flowrun_add_nodes({name} {name}.cpp{tensor})
enable_testing()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME {name} COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/test_{name}.py ${flowrun_PROGRAM} $<TARGET_FILE:{name}>)
)";

const char* const pipeline_file = R"({
  "about": "{type} on drawn pictures",
  "plugins": ["{plugin}"],
  "run": { "epochs": 1, "device": "cpu" },
  "nodes": {
    "files":   { "type": "source.synthetic", "images": 320, "size": 32 },
    "decode":  { "type": "image.decode", "in": "files" },
{nodes}    "metrics": { "type": "report.metrics", "in": { "image": "batch" }, "every": "1 step", "tensorboard": false }
  }
}
)";

const char* const sample_nodes = R"(    "{name}":  { "type": "{type}", "in": "decode" },
    "batch":   { "type": "batch.stack", "in": "{name}", "size": 32 },
    "sheet":   { "type": "report.contact_sheet", "in": { "image": "batch" }, "tensorboard": false },
)";
const char* const mask_nodes = R"(    "batch":   { "type": "batch.stack", "in": "decode", "size": 32 },
    "{name}":  { "type": "{type}", "in": "batch", "patch": 4 },
    "sheet":   { "type": "report.contact_sheet", "in": { "image": "batch", "mask": "{name}" }, "tensorboard": false },
)";
const char* const step_nodes = R"(    "batch":   { "type": "batch.stack", "in": "decode", "size": 32 },
    "upload":  { "type": "device.upload", "in": "batch" },
    "{name}":  { "type": "{type}", "in": "upload.image" },
)";

const char* const test_file = R"("""{type} gives the same with one thread and with several, and in the serial executor. {how}:

    python test_{name}.py FLOWRUN {library}
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    program, library = sys.argv[1:]
    pipeline = json.loads((HERE / "pipeline.json").read_text())
    pipeline["plugins"] = [str(pathlib.Path(library).resolve())]
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "pipeline.json").write_text(json.dumps(pipeline))
        found = {}
        for name, options in {"serial": ["--serial"], "one": ["--threads", "1"], "several": ["--threads", "4", "--jitter", "7"]}.items():
            subprocess.run([program, "pipeline.json", "--quiet", "--out", name, *options], cwd=folder, check=True)
            lines = [json.loads(line) for line in (pathlib.Path(folder) / name / "metrics.jsonl").read_text().splitlines()]
            found[name] = [{key: value for key, value in line.items() if "per_second" not in key} for line in lines]
        assert len(found["serial"]) == 10, found["serial"]
        assert found["one"] == found["serial"], "one thread gives something else than the serial executor"
        assert found["several"] == found["serial"], "several threads give something else"
    print("{type}: equal in all three")


if __name__ == "__main__":
    main()
)";

std::string filled(std::string text, const std::map<std::string, std::string>& words) {
  for (const auto& [word, value] : words) {
    const std::string mark = "{" + word + "}";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) text.replace(at, mark.size(), value);
  }
  return text;
}

/// "image.random_foo" is RandomFoo.
std::string camel_case(const std::string& name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c != '_') out += upper ? static_cast<char>(std::toupper(c)) : c;
    upper = c == '_';
  }
  return out;
}

}  // namespace

int new_node(const NewNodeArgs& args) {
  static const std::regex form("[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*");
  if (!std::regex_match(args.type, form)) {
    throw PipelineError("error: " + args.type + " is no name for a type: FAMILY.NAME of small letters, digits and _, such as image.foo");
  }
  if (find_node_type(args.type) != nullptr) throw PipelineError("error: the type " + args.type + " exists already (flowrun help " + args.type + ")");
  if (args.scope == "mask" && !args.python) throw PipelineError("error: masks are begun in Python: add --python");
  if (args.scope == "step" && args.python) throw PipelineError("error: a step node works on tensors, in C++: leave out --python");
  const std::string name = args.type.substr(args.type.find('.') + 1);
  const fs::path folder = args.folder.empty() ? fs::path(name) : fs::path(args.folder);
  const std::map<std::string, std::string> nodes = {{"sample", sample_nodes}, {"mask", mask_nodes}, {"step", step_nodes}};
  std::map<std::string, std::string> words = {{"type", args.type}, {"name", name}, {"Name", camel_case(name)}, {"include", "#include"}};
  words["tensor"] = args.scope == "step" ? " TENSOR" : "";
  words["plugin"] = args.python ? name + ".py" : "./build/lib" + name + ".so";
  words["library"] = args.python ? name + ".py" : "LIBRARY";
  words["how"] = args.python ? "By hand" : "ctest runs it; by hand";
  words["nodes"] = filled(nodes.at(args.scope), words);
  std::vector<std::pair<std::string, std::string>> files;
  if (args.python) {
    files.emplace_back(name + ".py", args.scope == "mask" ? python_mask_node : python_sample_node);
  } else {
    files.emplace_back(name + ".cpp", args.scope == "step" ? step_node : sample_node);
    files.emplace_back("CMakeLists.txt", cmake_file);
  }
  files.emplace_back("pipeline.json", pipeline_file);
  files.emplace_back("test_" + name + ".py", test_file);
  for (const auto& [file, text] : files) {
    if (fs::exists(folder / file)) throw PipelineError("error: " + (folder / file).string() + " is there already: name another folder");
  }
  fs::create_directories(folder);
  for (const auto& [file, text] : files) {
    io::write_file_atomic(folder / file, filled(text, words));
    std::cout << (folder / file).string() << "\n";
  }
  const std::string at = folder.string();
  if (args.python) {
    std::cout << "test:   python " << at << "/test_" << name << ".py flowrun " << at << "/" << name << ".py\n";
  } else {
    std::cout << "build:  cmake -S " << at << " -B " << at << "/build && cmake --build " << at << "/build\n"
              << "test:   ctest --test-dir " << at << "/build\n";
  }
  std::cout << "run:    flowrun " << at << "/pipeline.json\n";
  return 0;
}

}  // namespace flowrun::cli
