#include "tools/flowrun/cli/set_words.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "graph/contract/params.h"
#include "graph/contract/run_params.h"
#include "graph/text/json.h"
#include "graph/text/json_text.h"
#include "tools/app/load/load.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

/// Path and values of each parameter.
class Words {
 public:
  Words(const std::string& file, app::Loaded& loaded) {
    add_let(file);
    if (!loaded.checked) return;
    CheckedPipeline& pipeline = *loaded.checked;
    words_["seed"] = {std::to_string(pipeline.seed)};
    ParamSetOf<RunParams> run(pipeline.run);
    add("run", document_params(run), write_params(run));
    for (CheckedModel& model : pipeline.models) add(model.name, model.type->params, write_params(model.model->params()));
    for (CheckedNode& node : pipeline.nodes) add(node.name, node.type->params, write_params(node.node->params()));
  }

  std::vector<std::string> of(const std::string& word) const {
    std::vector<std::string> out;
    const size_t sign = word.find('=');
    for (const auto& [path, values] : words_) {
      if (sign == std::string::npos && path.starts_with(word)) out.push_back(path + "=");
      if (sign == std::string::npos || path != word.substr(0, sign)) continue;
      for (const std::string& value : values) {
        if (std::string whole = path + "=" + value; whole.starts_with(word)) out.push_back(std::move(whole));
      }
    }
    return out;
  }

 private:
  void add(const std::string& place, const std::vector<ParamDoc>& params, const ordered_json& now) {
    for (const ParamDoc& param : params) {
      const std::string path = place + "." + param.name;
      const auto value = now.find(param.name);
      if (!param.members.empty() && value != now.end() && value->is_object()) {
        add(path, param.members, *value);
        continue;
      }
      std::vector<std::string>& values = words_[path];
      if (param.kind == "true or false") {
        values = {"true", "false"};
      } else if (!param.choices.empty()) {
        values = param.choices;
      } else if (value != now.end()) {
        values = {value->is_string() ? value->get<std::string>() : json_text(*value)};
      }
    }
  }

  /// The names of a file's let, and of those of the files that it extends.
  void add_let(const std::string& file, int depth = 0) {
    Diagnostics faults;
    const Value pipeline = parse_json_file(file, {}, faults);
    const Value* const let = pipeline.find("let");
    for (const std::string& name : let != nullptr ? let->keys() : std::vector<std::string>()) words_["let." + name] = {};
    const Value* const base = pipeline.find("extends");
    if (base != nullptr && depth < 8) add_let((std::filesystem::path(file).parent_path() / base->string).string(), depth + 1);
  }

  std::map<std::string, std::vector<std::string>> words_;
};

}  // namespace

std::vector<std::string> set_words(const std::string& file, const std::string& word) {
  try {
    app::Loaded loaded = app::load({.file = file, .sets = {}});
    return Words(file, loaded).of(word);
  } catch (const std::exception&) {  // a shell has no place for errors
    return {};
  }
}

}  // namespace flowrun::cli
