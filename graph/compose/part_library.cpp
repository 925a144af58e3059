#include "graph/compose/part_library.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graph/compose/let.h"
#include "graph/text/json_text.h"
#include "graph/text/names.h"

namespace flowrun {
namespace {

using Kind = Value::Kind;

const std::vector<std::string> part_keys = {"about", "in", "out", "let", "nodes", "parts"};
// The keys of a node that uses a part, beside the part's parameters.
const std::vector<std::string> reserved = {"type", "use", "in", "after", "stream", "streams"};

bool contains(const std::vector<std::string>& list, const std::string& word) { return std::find(list.begin(), list.end(), word) != list.end(); }

/// Checks a part alone, without the nodes that use it.
class PartChecker {
 public:
  PartChecker(Part& part, const Location& used_at, PartFaults& faults)
      : part_(part), source_(in_use(part.value->where.source, used_at)), faults_(faults) {}

  void run() {
    if (!part_.value->is(Kind::object)) return fault(part_.value->where, "a part is a JSON object, not " + kind_name(part_.value->kind));
    check_keys();
    read_in();
    read_let();
    if (const Value* parts = part_.value->find("parts")) {
      if (!parts->is(Kind::object)) fault(parts->where, "parts must be an object, not " + kind_name(parts->kind));
      part_.parts = parts;
    }
    const Value* nodes = part_.value->find("nodes");
    if (!nodes || !nodes->is(Kind::object) || nodes->members.empty()) {
      return fault(nodes ? nodes->where : part_.value->where, "it has no nodes", "\"nodes\": { \"NAME\": { \"type\": … } }");
    }
    for (const Member& node : nodes->members) {
      if (node.key == "in") fault(node.key_where, "\"in\" stands for the part's inputs; a node needs another name");
    }
    check_out(*nodes);
    if (sound_) find_unused(*nodes);
    part_.sound = sound_;
  }

 private:
  void fault(const Location& where, const std::string& message, const std::string& hint = "") {
    sound_ = false;
    faults_.error({source_, where.offset, where.length}, "part " + part_.name + ": " + message, hint);
  }

  void check_keys() {
    for (const Member& member : part_.value->members) {
      if (contains(part_keys, member.key)) continue;
      if (member.key == "models") {
        fault(member.key_where, "a part can't declare models: the node that uses it passes their names",
              "\"let\": { \"model\": null } here, \"model\": \"$model\" at the node that needs it");
      } else {
        fault(member.key_where, "unknown key \"" + member.key + "\"", did_you_mean(member.key, part_keys) + "a part has: " + join(part_keys));
      }
    }
    const Value* about = part_.value->find("about");
    if (about && !about->is(Kind::string)) fault(about->where, "about must be a string");
  }

  void read_in() {
    const Value* in = part_.value->find("in");
    if (!in) return;
    if (!in->is(Kind::array)) return fault(in->where, "in must be a list of names, not " + kind_name(in->kind), "\"in\": [\"image\"]");
    for (const Value& port : in->items) {
      if (!port.is(Kind::string) || !is_name(port.string)) {
        fault(port.where, "an input's name is made of letters, digits, _ and -");
      } else if (contains(part_.in, port.string)) {
        fault(port.where, "in names \"" + port.string + "\" twice");
      } else {
        part_.in.push_back(port.string);
      }
    }
  }

  void read_let() {
    const Value* let = part_.value->find("let");
    if (!let) return;
    if (!let->is(Kind::object)) return fault(let->where, "let must be an object, not " + kind_name(let->kind));
    for (const Member& member : let->members) {
      if (contains(reserved, member.key)) {
        fault(member.key_where, "let can't be called \"" + member.key + "\", which means something else at a node that uses a part", "rename it");
      } else if (!is_name(member.key)) {
        fault(member.key_where, "the name of a let is made of letters, digits, _ and -");
      }
      part_.let.push_back(member.key);
    }
  }

  void check_out(const Value& nodes) {
    const Value* out = part_.value->find("out");
    if (!out) return;
    if (out->is(Kind::string)) return check_output(nodes, *out, "out");
    if (!out->is(Kind::object)) {
      return fault(out->where, "out must be the name of a node, or an object from port to node or node.port, not " + kind_name(out->kind));
    }
    for (const Member& port : out->members) {
      if (!is_name(port.key)) fault(port.key_where, "an output's name is made of letters, digits, _ and -");
      check_output(nodes, port.value, "out." + port.key);
    }
  }

  void check_output(const Value& nodes, const Value& text, const std::string& port) {
    if (!text.is(Kind::string)) return fault(text.where, port + " must be \"node\" or \"node.port\", not " + kind_name(text.kind));
    const std::string head = head_of(text.string);
    if (head == "in") return fault(text.where, port + " only passes an input through", "read that input where it comes from");
    if (port == "out" && head != text.string) return fault(text.where, "out must be the name of a node, or an object from port to node.port");
    if (!nodes.find(head)) {
      fault(text.where, port + ": no node \"" + head + "\"", did_you_mean(head, nodes.keys()) + "there are: " + join(nodes.keys()));
    }
  }

  void find_unused(const Value& nodes) {
    const Value* let = part_.value->find("let");
    for (size_t i = 0; i < part_.let.size(); ++i) {
      const Member& member = let->members[i];
      const bool used = names_let(nodes, member.key) || names_let(*let, member.key);
      if (!used) fault(member.key_where, "nothing uses let \"" + member.key + "\"", "use it as \"$" + member.key + "\", or remove it");
    }
    std::set<std::string> read;
    for (const Member& node : nodes.members) {
      for (const Value* text : references(node.value)) read.insert(text->string);
    }
    // A node that reads an unknown name may mean the input; the fault is reported at the use of the part.
    const bool in_doubt = std::any_of(read.begin(), read.end(), [&](const std::string& text) {
      return head_of(text) == "in" ? !contains(part_.in, text.substr(std::min<size_t>(3, text.size()))) : !nodes.find(head_of(text));
    });
    for (size_t i = 0; i < part_.in.size() && !in_doubt; ++i) {
      if (read.contains("in." + part_.in[i])) continue;
      fault(part_.value->find("in")->items[i].where, "nothing reads the input \"" + part_.in[i] + "\"",
            "read it as \"in." + part_.in[i] + "\", or remove it");
    }
  }

  Part& part_;
  std::shared_ptr<const Source> source_;  // in use
  PartFaults& faults_;
  bool sound_ = true;
};

}  // namespace

std::string head_of(const std::string& text) { return text.substr(0, text.find('.')); }

std::vector<const Value*> references(const Value& node) {
  std::vector<const Value*> out;
  for (const char* key : {"in", "after"}) {
    if (const Value* value = node.find(key)) each_text(*value, [&](const Value& text) { out.push_back(&text); });
  }
  return out;
}

std::shared_ptr<const Source> in_use(const std::shared_ptr<const Source>& file, const Location& used_at) {
  return std::make_shared<const Source>(Source{file->name, "", file, std::make_shared<const Location>(used_at)});
}

std::string Part::takes() const {
  std::vector<std::string> words = in;
  for (const std::string& name : let) {
    const Value& initial = *value->find("let")->find(name);
    words.push_back(name + (initial.is(Kind::null) ? " (must be given)" : " = " + json_text(to_json(initial))));
  }
  return name + (words.empty() ? " takes nothing" : " takes: " + join(words));
}

void PartFaults::error(const Location& where, const std::string& message, const std::string& hint) {
  const Source* file = where.source->file ? where.source->file.get() : where.source.get();
  if (told_.insert({file, where.offset, message}).second) faults_.error(where, message, hint);
}

PartLibrary::PartLibrary(const Value* parts, PartFaults& faults) : faults_(faults) { pipeline_.parts = parts; }

const Part* PartLibrary::find(const Value& use, const std::string& user, const Part& scope, const Location& used_at) {
  if (!use.is(Kind::string)) {
    faults_.error(use.where, user + ": use must be the name of a part, not " + kind_name(use.kind));
    return nullptr;
  }
  std::vector<std::string> names;
  for (const Part* part = &scope; part; part = part->outer) {
    if (!part->parts) continue;
    for (const Member& entry : part->parts->members) {
      if (entry.key == use.string) return open(entry, *part, used_at);
      names.push_back(entry.key);
    }
  }
  faults_.error(use.where, user + ": no part \"" + use.string + "\"",
                did_you_mean(use.string, names) +
                    (names.empty() ? "\"parts\": { \"" + use.string + "\": \"FILE.json\" } says where it is" : "there are: " + join(names)));
  return nullptr;
}

const Part* PartLibrary::open(const Member& entry, const Part& scope, const Location& used_at) {
  Part* part = nullptr;
  bool fresh = false;
  if (entry.value.is(Kind::string)) {
    namespace fs = std::filesystem;
    const std::string path = (fs::path(entry.value.where.source->name).parent_path() / entry.value.string).lexically_normal().string();
    std::error_code looped;
    const std::string id = fs::weakly_canonical(path, looped).string();
    const auto [found, is_new] = files_.try_emplace(looped ? path : id);
    part = &found->second;
    part->value = &part->owned;
    fresh = is_new && read(path, entry.value.where, used_at, part->owned);
  } else {
    const auto [found, is_new] = written_within_.try_emplace(&entry.value);
    part = &found->second;
    part->value = &entry.value;
    part->outer = &scope;
    fresh = is_new;
  }
  if (fresh) {
    part->name = entry.key;
    PartChecker(*part, used_at, faults_).run();
  }
  return part->sound ? part : nullptr;
}

bool PartLibrary::read(const std::string& path, const Location& referrer, const Location& used_at, Value& out) {
  constexpr uintmax_t largest = uintmax_t{1} << 20;
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code) && std::filesystem::file_size(path, code) > largest) {
    faults_.error(referrer, path + ": it is larger than 1 MiB, the limit of a part");
    return false;
  }
  Diagnostics unread;
  out = parse_json_file(path, referrer, unread);
  out.erase("$schema");
  for (Diagnostics::Fault& fault : unread.sorted()) {
    if (fault.where.source != referrer.source) fault.where.source = in_use(fault.where.source, used_at);
    faults_.error(fault.where, fault.message, fault.hint);
  }
  return unread.empty();
}

}  // namespace flowrun
