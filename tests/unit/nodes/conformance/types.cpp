// The promises of every registered type.
#include <filesystem>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "graph/node.h"
#include "tests/support/places.h"

namespace flowrun {
namespace {

bool is_sentence(const std::string& text) { return text.size() > 3 && text.ends_with('.'); }

void check_params(const std::string& type, const std::vector<ParamDoc>& params) {
  std::set<std::string> names;
  for (const ParamDoc& param : params) {
    const std::string name = type + "." + param.name;
    EXPECT_TRUE(names.insert(param.name).second) << name << " twice";
    EXPECT_TRUE(std::regex_match(param.name, std::regex("[a-z][a-z0-9_]*"))) << name;
    EXPECT_TRUE(is_sentence(param.brief)) << name << ": \"" << param.brief << '"';
    EXPECT_FALSE(param.kind.empty()) << name;
    EXPECT_THAT((std::vector<std::string>{"type", "in", "after", "stream", "at"}), testing::Not(testing::Contains(param.name))) << name;
    check_params(name, param.members);
    if (param.required || param.kind == "object" || param.kind == "model" || param.kind == "models") continue;
    const auto value = nlohmann::json::parse(param.initial);
    if (!param.choices.empty()) {
      EXPECT_THAT(param.choices, testing::Contains(value.get<std::string>())) << name;
    }
    for (const auto& item : value.is_array() ? value : nlohmann::json::array({value})) {
      if (!item.is_number()) continue;
      EXPECT_GE(item.get<double>(), param.range.low) << name << ": the default is out of its range";
      EXPECT_LE(item.get<double>(), param.range.high) << name << ": the default is out of its range";
    }
  }
}

/// Parameters as they are written are read back as the same.
void check_round_trip(const std::string& type, ParamSet& written, ParamSet& read) {
  auto json = write_params(written);
  // Empty names of models are what a reader must refuse; pipelines fill them.
  for (auto& [key, value] : json.items()) {
    if (value.is_null() || value == "") value = "some";
  }
  Diagnostics faults;
  const auto text = std::make_shared<Source>(Source{type, json.dump()});
  read_params(read, parse_json(text, faults), {}, "node", type, faults);
  std::string left = faults.render();
  for (const char* allowed : {"must name at least one model", "is missing"}) {
    if (left.find(allowed) != std::string::npos) return;
  }
  EXPECT_TRUE(faults.empty()) << left;
  EXPECT_EQ(write_params(read).dump(), json.dump()) << type;
}

TEST(Conformance, NodeTypes) {
  EXPECT_GE(node_types().size(), 22u) << "has the linker dropped registrars?";
  for (const NodeType* type : node_types()) {
    const std::string name = type->info.type;
    EXPECT_TRUE(std::regex_match(name, std::regex("[a-z]+\\.[a-z0-9_]+"))) << name;
    EXPECT_TRUE(is_sentence(type->info.brief)) << name;
    EXPECT_TRUE(std::string(type->info.details).empty() || is_sentence(type->info.details)) << name;
    EXPECT_TRUE(std::filesystem::is_directory(test::source_dir() / "nodes" / name.substr(0, name.find('.')))) << name;
    EXPECT_EQ(type->reports.has_value(), type->info.scope == Scope::evaluation)
        << name << ": evaluations, and no others, name their numbers in reports()";
    std::set<std::pair<bool, std::string>> ports;
    for (const PortDoc& port : type->ports) {
      EXPECT_TRUE(ports.insert({port.input, port.name}).second) << name << ": port " << port.name << " twice";
      EXPECT_TRUE(is_sentence(port.brief)) << name << "." << port.name;
      void* value = port.type->make();
      port.type->release(value);
      EXPECT_EQ(port.type->bytes(value), 0u) << name << "." << port.name << ": an empty object takes memory";
      port.type->destroy(value);
    }
    check_params(name, type->params);
    const auto a = type->make(), b = type->make();
    check_round_trip(name, a->params(), b->params());
    const bool required = std::any_of(type->params.begin(), type->params.end(), [](const ParamDoc& p) { return p.required; });
    EXPECT_TRUE(required || !a->check().has_value()) << name << ": the defaults are refused";
  }
}

TEST(Conformance, ModelTypes) {
  EXPECT_GE(model_types().size(), 3u);
  for (const ModelType* type : model_types()) {
    const std::string name = type->info.type;
    EXPECT_TRUE(name.starts_with("model.")) << name;
    EXPECT_TRUE(is_sentence(type->info.brief)) << name;
    check_params(name, type->params);
  }
}

}  // namespace
}  // namespace flowrun
