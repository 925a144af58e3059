#include "graph/compose/pipeline.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string_view>
#include <utility>

#include "graph/compose/let.h"
#include "graph/compose/parts.h"
#include "graph/contract/own_library.h"
#include "graph/contract/run_params.h"
#include "graph/node.h"

namespace flowrun {
namespace {

using Kind = Value::Kind;

const std::vector<std::string> base_keys = {"about", "seed", "run", "let", "plugins", "parts", "models", "nodes", "resolved"};
const std::vector<std::string> extension_keys = {"extends", "about", "plugins", "parts", "swap", "set", "add", "drop"};

/// A path of a change, split at dots; `where` is the span that wrote it.
struct Path {
  std::vector<std::string> parts;
  Location where;
  std::string text() const { return join(parts, "."); }
};

Path split(const std::string& text, const Location& where) {
  Path path{{}, where};
  size_t begin = 0;
  while (true) {
    const size_t dot = text.find('.', begin);
    path.parts.push_back(text.substr(begin, dot - begin));
    if (dot == std::string::npos) return path;
    begin = dot + 1;
  }
}

/// A change of a node in a part, which is there when the parts stand for their nodes.
struct InnerChange {
  enum class Kind { drop, swap, set } kind;
  Path path;
  std::string part;  // the node that uses the part
  Value value;       // of swap and set; of drop the name
};

class Loader {
 public:
  explicit Loader(Diagnostics& faults) : faults_(faults) {}

  Value load(const std::string& path, const Location& referrer) {
    std::error_code looped;
    const std::string id = std::filesystem::weakly_canonical(path, looped).string();
    if (looped) {
      faults_.error(referrer, path + ": " + looped.message());
      return {};
    }
    constexpr size_t most_open = 64;
    if (open_.size() == most_open) {
      faults_.error(referrer, "more than " + std::to_string(most_open) + " files extend one another");
      return {};
    }
    if (std::find(open_.begin(), open_.end(), id) != open_.end()) {
      faults_.error(referrer, path + " extends itself");
      return {};
    }
    open_.push_back(id);
    Value root = parse_json_file(path, referrer, faults_);
    root.erase("$schema");  // for editors
    Value out = resolve(std::move(root), std::filesystem::path(path).parent_path());
    open_.pop_back();
    return out;
  }

  Value resolve(Value root, const std::filesystem::path& directory) {
    if (!faults_.empty()) return {};
    if (!root.is(Kind::object)) {
      faults_.error(root.where, "a pipeline is a JSON object, not " + kind_name(root.kind));
      return {};
    }
    const Value* extends = root.find("extends");
    for (const char* ports : {"in", "out"}) {
      if (const Value* found = extends ? nullptr : root.find(ports)) {
        faults_.error(found->where, "a file with ports is a part of pipelines, not a pipeline",
                      "name it in the \"parts\" of a pipeline, and use it there");
        return {};
      }
    }
    check_keys(root, extends ? extension_keys : base_keys, extends != nullptr);
    if (!extends) return root;
    if (!extends->is(Kind::string)) {
      faults_.error(extends->where, "extends must be a string: the path of a pipeline file, relative to this one, or shipped:FILE.json");
      return {};
    }
    const std::filesystem::path path = pipeline_file(extends->string, directory, extends->where, faults_);
    if (path.empty()) return {};
    Value base = load(path.lexically_normal().string(), extends->where);
    if (!base.is(Kind::object)) return {};
    apply(base, root);
    return base;
  }

  void set(Value& pipeline, const Path& path, const Value& value) {
    constexpr size_t most_parts = 32;
    if (path.parts.size() > most_parts) {
      return faults_.error(path.where,
                           "a path of " + std::to_string(path.parts.size()) + " parts is too long: parameters are not nested that deeply");
    }
    if (path.parts[0] == "seed" && path.parts.size() == 1) return pipeline.put("seed", path.where, value);
    if (put_off(pipeline, {InnerChange::Kind::set, path, "", value})) return;
    Value* object = owner(pipeline, path);
    if (!object) return;
    size_t at = first_;
    if (const std::string& param = path.parts[at];
        uses_part(*object) && at + 1 < path.parts.size() && !object->find(param) && param != "in" && param != "streams") {
      const std::string& user = path.parts[at - 1];
      return faults_.error(path.where, "can't set \"" + path.text() + "\": " + user + " leaves " + param + " to the part",
                           "set " + user + "." + param + " as a whole");
    }
    for (; at + 1 < path.parts.size(); ++at) {
      Value* next = step_into(*object, path.parts[at]);
      if (!next) {
        // A nested parameter that has its default may be set without its siblings.
        Value empty;
        empty.kind = Kind::object;
        empty.where = path.where;
        object->put(path.parts[at], path.where, std::move(empty));
        next = object->find(path.parts[at]);
      }
      object = next;
      if (!object->is(Kind::object) && !object->is(Kind::array)) {
        return faults_.error(path.where, "can't set \"" + path.text() + "\": " + path.parts[at] + " is " + kind_name(object->kind));
      }
    }
    const std::string& last = path.parts[at];
    if (object->is(Kind::array)) {
      Value* item = step_into(*object, last);
      if (!item) return faults_.error(path.where, "can't set \"" + path.text() + "\": the list has no element " + last);
      *item = value;
    } else if (last == "use" && at == first_ && uses_part(*object)) {
      faults_.error(path.where, "can't set \"" + path.text() + "\": parameters belong to their part",
                    "use \"swap\", which takes the new part with all its parameters");
    } else if (last == "type" && at == first_) {
      faults_.error(path.where, "can't set \"" + path.text() + "\": parameters belong to their type",
                    "use \"swap\", which takes the new type with all its parameters");
    } else {
      object->put(last, path.where, value);
    }
  }

  /// Changes of nodes in parts, in the order in which they were met; their values may name a let of the pipeline.
  std::vector<InnerChange>& inner_changes() { return inner_; }
  void apply_inner(Value& pipeline) {
    for (InnerChange& change : std::exchange(inner_, {})) {
      switch (change.kind) {
        case InnerChange::Kind::drop:
          drop(pipeline, change.value);
          break;
        case InnerChange::Kind::swap:
          swap(pipeline, {change.path.text(), change.path.where, std::move(change.value)});
          break;
        case InnerChange::Kind::set:
          set(pipeline, change.path, change.value);
          break;
      }
    }
  }

 private:
  void check_keys(const Value& root, const std::vector<std::string>& allowed, bool extension) {
    for (const Member& member : root.members) {
      if (std::find(allowed.begin(), allowed.end(), member.key) != allowed.end()) continue;
      std::string hint = did_you_mean(member.key, allowed);
      if (extension && std::find(base_keys.begin(), base_keys.end(), member.key) != base_keys.end()) {
        hint = "a file that extends another changes it with swap, set, add and drop, for example \"set\": { \"" + member.key +
               (member.key == "seed" ? "\": 1 }" : ".…\": … }");
      } else {
        hint += "a pipeline has: " + join(allowed);
      }
      faults_.error(member.key_where, "unknown key \"" + member.key + "\"", hint);
    }
  }

  void apply(Value& base, const Value& changes) {
    if (const Value* about = changes.find("about")) base.put("about", about->where, *about);
    each(changes, "plugins", Kind::array, [&](const Value& list) {
      Value* all = base.find("plugins");
      if (all && all->is(Kind::array)) {
        all->items.insert(all->items.end(), list.items.begin(), list.items.end());
      } else {
        base.put("plugins", list.where, list);
      }
    });
    each(changes, "parts", Kind::object, [&](const Value& object) {
      Value* all = section(base, "parts", object.where);
      for (const Member& member : object.members) {
        if (all->find(member.key)) {
          faults_.error(member.key_where, "there is a part \"" + member.key + "\" already",
                        "give it another name, and swap the nodes that shall use it");
        } else {
          all->put(member.key, member.key_where, member.value);
        }
      }
    });
    each(changes, "drop", Kind::array, [&](const Value& list) {
      for (const Value& item : list.items) drop(base, item);
    });
    each(changes, "swap", Kind::object, [&](const Value& object) {
      for (const Member& member : object.members) swap(base, member);
    });
    each(changes, "add", Kind::object, [&](const Value& object) {
      for (const Member& member : object.members) add(base, member);
    });
    each(changes, "set", Kind::object, [&](const Value& object) {
      for (const Member& member : object.members) set(base, split(member.key, member.key_where), member.value);
    });
  }

  template <class F>
  void each(const Value& changes, const char* key, Kind kind, F&& f) {
    const Value* value = changes.find(key);
    if (!value) return;
    if (!value->is(kind)) return faults_.error(value->where, std::string(key) + " must be " + kind_name(kind));
    f(*value);
  }

  static Value* section(Value& pipeline, const std::string& name, const Location& where) {
    if (!pipeline.find(name)) {
      Value empty;
      empty.kind = Kind::object;
      empty.where = where;
      pipeline.put(name, where, std::move(empty));
    }
    return pipeline.find(name);
  }

  static Value* step_into(Value& value, const std::string& part) {
    if (value.is(Kind::object)) return value.find(part);
    if (part.empty() || part.find_first_not_of("0123456789") != std::string::npos || part.size() > 6) return nullptr;
    const size_t index = std::stoul(part);
    return index < value.items.size() ? &value.items[index] : nullptr;
  }

  /// Keeps a change for later if it is one of a node in a part: "large/crop" where "large" uses a part.
  bool put_off(Value& pipeline, InnerChange change) {
    const bool qualified = change.path.parts[0] == "nodes" && change.path.parts.size() > 1;
    const std::string& name = change.path.parts[qualified ? 1 : 0];
    const Value* nodes = pipeline.find("nodes");
    if (!nodes || nodes->find(name)) return false;
    for (size_t slash = name.rfind('/'); slash != std::string::npos && slash > 0; slash = name.rfind('/', slash - 1)) {
      change.part = name.substr(0, slash);
      const Value* user = nodes->find(change.part);
      if (!user || !uses_part(*user)) continue;
      inner_.push_back(std::move(change));
      return true;
    }
    return false;
  }

  /// Changes inside a part go with the node that used it.
  void forget_inner(const std::string& name) {
    std::erase_if(inner_, [&](const InnerChange& change) { return change.part == name; });
  }

  /// The object that holds the named node or model: `name`, `nodes.name` or `models.name`.
  Value* named(Value& pipeline, const Path& path, size_t& next, bool setting = false) {
    const std::string& head = path.parts[0];
    const bool qualified = (head == "nodes" || head == "models") && path.parts.size() > 1;
    const std::string& name = path.parts[qualified ? 1 : 0];
    next = qualified ? 2 : 1;
    std::vector<std::string> candidates;
    for (const char* section : {"nodes", "models"}) {
      if (qualified && head != section) continue;
      Value* all = pipeline.find(section);
      if (!all) continue;
      if (Value* found = all->find(name)) return found;
      for (const std::string& key : all->keys()) candidates.push_back(key);
    }
    if (!qualified && setting) candidates.insert(candidates.end(), {"run", "let", "seed"});
    faults_.error(path.where, "no node or model \"" + name + "\"", did_you_mean(name, candidates) + "there are: " + join(candidates));
    return nullptr;
  }

  /// Paths of the pipeline's parameters that end in `name`, or in what is in an object of that name; at most four.
  static std::vector<std::string> parameters_called(Value& pipeline, const std::string& name) {
    std::vector<std::string> out;
    const auto look = [&](const std::string& owner, const std::vector<ParamDoc>& params) {
      const std::function<void(const std::string&, const std::vector<ParamDoc>&, bool)> visit = [&](const std::string& prefix, const auto& list,
                                                                                                    bool all) {
        for (const ParamDoc& param : list) {
          const std::string path = prefix + "." + param.name;
          const bool meant = all || param.name == name;
          if (meant && param.members.empty()) out.push_back(path);
          visit(path, param.members, meant);
        }
      };
      visit(owner, params, false);
    };
    for (const char* section : {"nodes", "models"}) {
      const Value* const all = pipeline.find(section);
      if (all == nullptr) continue;
      if (all->find(name)) return {};  // it names one as a whole
      for (const Member& member : all->members) {
        const Value* const type = member.value.is(Kind::object) ? member.value.find("type") : nullptr;
        if (type == nullptr || !type->is(Kind::string)) continue;
        if (const NodeType* node = find_node_type(type->string)) look(member.key, node->params);
        if (const ModelType* model = find_model_type(type->string)) look(member.key, model->params);
      }
    }
    RunParams run;
    ParamSetOf<RunParams> set(run);
    look("run", document_params(set));
    constexpr size_t most = 4;
    // The peak of a schedule is what people mean.
    std::stable_partition(out.begin(), out.end(), [](const std::string& path) { return path.ends_with(".max"); });
    if (out.size() > most) out.resize(most);
    return out;
  }

  /// The object in which the rest of the path, from first_ on, is to be found.
  Value* owner(Value& pipeline, const Path& path) {
    const std::string& head = path.parts[0];
    if (path.parts.size() < 2) {
      const std::vector<std::string> meant = parameters_called(pipeline, head);
      if (!meant.empty()) {
        faults_.error(path.where, "there is no node, model or section \"" + head + "\" to set", "did you mean " + join(meant, " or ") + "?");
      } else {
        faults_.error(path.where, "can't set \"" + head + "\" as a whole", "name what to set: " + head + ".PARAMETER");
      }
      return nullptr;
    }
    if (head == "run" || head == "let") {
      first_ = 1;
      Value* values = section(pipeline, head, path.where);
      if (head == "let" && !values->find(path.parts[1])) {
        faults_.error(path.where, "no let \"" + path.parts[1] + "\"",
                      did_you_mean(path.parts[1], values->keys()) + "there are: " + join(values->keys()));
        return nullptr;
      }
      return values;
    }
    Value* found = named(pipeline, path, first_, /*setting=*/true);
    if (found && first_ >= path.parts.size()) {
      faults_.error(path.where, "can't set \"" + path.text() + "\" as a whole", "use swap");
      return nullptr;
    }
    if (found && !found->is(Kind::object)) return nullptr;  // reported by validation
    return found;
  }

  void drop(Value& base, const Value& item) {
    if (!item.is(Kind::string)) return faults_.error(item.where, "drop takes names of nodes or models");
    size_t next = 0;
    const Path path = split(item.string, item.where);
    if (put_off(base, {InnerChange::Kind::drop, path, "", item}) || !named(base, path, next)) return;
    const std::string& name = path.parts[next - 1];
    forget_inner(name);
    for (const char* section : {"nodes", "models"}) {
      if (next == 2 && path.parts[0] != section) continue;
      if (Value* all = base.find(section); all && all->erase(name)) return;
    }
  }

  void swap(Value& base, const Member& change) {
    size_t next = 0;
    const Path path = split(change.key, change.key_where);
    if (put_off(base, {InnerChange::Kind::swap, path, "", change.value})) return;
    Value* node = named(base, path, next);
    if (!node) return;
    forget_inner(path.parts[next - 1]);
    Value fresh = change.value;
    if (fresh.is(Kind::object)) {
      const bool parts = uses_part(*node) && uses_part(fresh);
      for (const char* kept : {"in", "after", "stream", "at", "streams"}) {
        if (kept == std::string_view("streams") && !parts) continue;
        if (const Value* old = node->find(kept); old && !fresh.find(kept)) fresh.put(kept, old->where, *old);
      }
    }
    *node = std::move(fresh);
  }

  void add(Value& base, const Member& change) {
    const Path path = split(change.key, change.key_where);
    const bool qualified = path.parts.size() == 2 && (path.parts[0] == "nodes" || path.parts[0] == "models" || path.parts[0] == "let");
    if (path.parts.size() > 1 && !qualified) {
      return faults_.error(change.key_where, "add takes the name of a new node, models.NAME or let.NAME");
    }
    Value* all = section(base, qualified ? path.parts[0] : "nodes", change.key_where);
    const std::string& name = path.parts.back();
    if (all->find(name)) {
      return faults_.error(change.key_where, "there is a \"" + name + "\" already", "use swap to replace it, or set to change it");
    }
    all->put(name, change.key_where, change.value);
  }

  Diagnostics& faults_;
  std::vector<std::string> open_;
  std::vector<InnerChange> inner_;
  size_t first_ = 1;
};

/// `path=value`: the value is JSON if it parses, else a string.
void apply_set(Loader& loader, Value& pipeline, const std::string& argument, Diagnostics& faults) {
  auto source = std::make_shared<Source>(Source{"--set", argument});
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    return faults.error({source, 0, argument.size()}, "--set takes path=value", "for example --set mask.regions=1");
  }
  // Blanks in place of the path: then the positions in the value are those in the argument.
  auto padded = std::make_shared<Source>(Source{"--set", std::string(equals + 1, ' ') + argument.substr(equals + 1)});
  Diagnostics unparsed;
  Value value = parse_json(padded, unparsed);
  if (!unparsed.empty()) {
    value = {};
    value.kind = Kind::string;
    value.string = argument.substr(equals + 1);
    value.where = {source, equals + 1, std::max<size_t>(1, argument.size() - equals - 1)};
  }
  move_into(value, source);
  loader.set(pipeline, split(argument.substr(0, equals), {source, 0, equals}), value);
}

/// The section, which the pipeline then has no more.
Value taken(Value& pipeline, const std::string& section) {
  Value* found = pipeline.find(section);
  Value out = found ? std::move(*found) : Value{};
  pipeline.erase(section);
  return out;
}

bool any_uses_part(const Value& pipeline) {
  const Value* nodes = pipeline.find("nodes");
  return nodes && std::any_of(nodes->members.begin(), nodes->members.end(), [](const Member& member) { return uses_part(member.value); });
}

Value finish(Loader& loader, Value pipeline, const std::vector<std::string>& sets, Diagnostics& faults) {
  if (!pipeline.is(Kind::object)) return pipeline;
  const size_t before = faults.count();
  for (const char* section : {"run", "let", "parts", "models", "nodes"}) {
    const Value* value = pipeline.find(section);
    if (value && !value->is(Kind::object)) {
      faults.error(value->where, std::string(section) + " must be an object, not " + kind_name(value->kind));
    }
  }
  if (faults.count() != before) return {};
  for (const std::string& argument : sets) apply_set(loader, pipeline, argument, faults);
  const Value let = taken(pipeline, "let"), parts = taken(pipeline, "parts");  // a part has a let of its own
  const size_t changed = faults.count();
  size_t visited = 0;
  Substitution put_in(&let, visited, faults);
  put_in.apply(pipeline);
  for (InnerChange& change : loader.inner_changes()) put_in.apply(change.value);
  if (faults.count() == changed && any_uses_part(pipeline)) expand_parts(pipeline, &parts, visited, faults);
  // A change that could not be made leaves what was there, which is worth checking; a "$name" that stands for nothing
  // is not, nor is a part that can't be used.
  if (faults.count() != changed) return {};
  loader.apply_inner(pipeline);
  return pipeline;
}

}  // namespace

Value load_pipeline(const std::string& path, const std::vector<std::string>& sets, Diagnostics& faults) {
  Loader loader(faults);
  return finish(loader, loader.load(path, {}), sets, faults);
}

Value load_pipeline(const std::shared_ptr<const Source>& source, const std::vector<std::string>& sets, Diagnostics& faults) {
  Loader loader(faults);
  return finish(loader, loader.resolve(parse_json(source, faults), ""), sets, faults);
}

std::filesystem::path pipeline_file(const std::string& name, const std::filesystem::path& directory, const Location& where, Diagnostics& faults) {
  if (!name.starts_with(shipped_prefix)) return directory / name;
  const std::filesystem::path folder = own_share("pipelines");
  if (folder.empty()) {
    faults.error(where, "the shipped pipelines are missing: looked beside " + own_folder().string(), "install Flowrun again");
    return {};
  }
  return folder / name.substr(shipped_prefix.size());
}

}  // namespace flowrun
