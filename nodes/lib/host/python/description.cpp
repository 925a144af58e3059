#include "nodes/lib/host/python/description.h"

#include <map>
#include <stdexcept>

namespace flowrun::python {
namespace {

using nlohmann::json;

Kind kind_of(const std::string& name) {
  static const std::map<std::string, Kind> kinds{{"sample", Kind::sample}, {"mask", Kind::mask}, {"source", Kind::source}};
  const auto found = kinds.find(name);
  if (found == kinds.end()) throw std::invalid_argument("unknown scope " + name);
  return found->second;
}

ParamValue value_of(const std::string& kind, const json& value) {
  const bool given = !value.is_null();
  if (kind == "bool") return given && value.get<bool>();
  if (kind == "int") return given ? value.get<int64_t>() : int64_t{0};
  if (kind == "float") return given ? value.get<double>() : 0.0;
  if (kind == "str") return given ? value.get<std::string>() : std::string();
  if (kind == "list[int]") return given ? value.get<std::vector<int64_t>>() : std::vector<int64_t>();
  if (kind == "list[float]") return given ? value.get<std::vector<double>>() : std::vector<double>();
  if (kind == "list[str]") return given ? value.get<std::vector<std::string>>() : std::vector<std::string>();
  throw std::invalid_argument("unknown kind of parameter " + kind);
}

Port read_port(const json& port) {
  const std::string type = port.at("type");
  const ValueType* const known = find_value_type(type);
  if (known == nullptr) throw std::invalid_argument("unknown type of a port: " + type);
  return {port.at("name"), port.at("brief"), known, port.at("input"), port.at("optional")};
}

Param read_param(const json& param) {
  Param out{.name = param.at("name"),
            .brief = param.at("brief"),
            .initial = value_of(param.at("kind"), param.at("default")),
            .required = param.at("required")};
  const json &low = param.at("range").at(0), &high = param.at("range").at(1);
  if (!low.is_null()) out.range.low = low;
  if (!high.is_null()) out.range.high = high;
  out.choices = param.at("choices").get<Choices>();
  return out;
}

Description read_description(const json& node) {
  Description out{.type = node.at("type"),
                  .brief = node.at("brief"),
                  .details = node.at("details"),
                  .kind = kind_of(node.at("scope")),
                  .varies = node.at("varies")};
  for (const json& port : node.at("ports")) out.ports.push_back(read_port(port));
  for (const json& param : node.at("params")) out.params.push_back(read_param(param));
  return out;
}

}  // namespace

std::vector<Description> read_descriptions(const json& file) {
  std::vector<Description> out;
  try {
    for (const json& node : file.at("nodes")) out.push_back(read_description(node));
  } catch (const json::exception& error) {
    throw std::invalid_argument(error.what());
  }
  return out;
}

Params::Params(const std::vector<Param>& declared) : declared_(declared) {
  for (const Param& param : declared) values_.push_back(param.initial);
}

void Params::describe(ParamVisitor& visitor) {
  for (size_t i = 0; i < declared_.size(); ++i) {
    const Param& param = declared_[i];
    const ParamInfo info{.name = param.name.c_str(),
                         .brief = param.brief.c_str(),
                         .required = param.required,
                         .range = param.range,
                         .choices = param.choices.empty() ? nullptr : &param.choices};
    std::visit([&](auto& value) { visitor.visit(info, value); }, values_[i]);
  }
}

}  // namespace flowrun::python
