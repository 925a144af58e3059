#include "graph/compose/parts.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/compose/let.h"
#include "graph/compose/part_library.h"

namespace flowrun {
namespace {

using Kind = Value::Kind;

/// A node that uses a part; or the pipeline, which nobody uses.
struct Use {
  const Part* part;
  const Use* outer = nullptr;
  std::string name;                      // among the nodes of `outer`
  std::string prefix;                    // of full names: "large/"; of the pipeline: ""
  const Value* node = nullptr;           // with "use"
  std::shared_ptr<const Source> source;  // of the part's nodes, here
};

/// Full names of a part's nodes that read none of the others, and of those that no other reads or follows.
struct Ends {
  std::vector<std::string> first, last;
};

Value text_value(std::string text, const Location& where) {
  Value out;
  out.kind = Kind::string;
  out.string = std::move(text);
  out.where = where;
  return out;
}

Value empty_value(Kind kind, const Location& where) {
  Value out;
  out.kind = kind;
  out.where = where;
  return out;
}

class Expander {
 public:
  Expander(Value& pipeline, const Value* parts, size_t& visited, Diagnostics& all)
      : pipeline_(pipeline), visited_(visited), all_faults_(all), faults_(all), library_(parts, faults_) {}

  void run() {
    const Value nodes = *pipeline_.find("nodes");
    ports_ = empty_value(Kind::object, nodes.where);
    expand_nodes({.part = &library_.pipeline()}, nodes);
    pipeline_.find("nodes")->members = std::move(flat_);
    pipeline_.put("ports", nodes.where, std::move(ports_));
  }

 private:
  /// Appends the nodes of a part, or of the pipeline, to flat_.
  Ends expand_nodes(const Use& scope, const Value& nodes) {
    std::map<std::string, Ends> ends;
    for (const Member& member : nodes.members) {
      if (uses_part(member.value)) {
        ends[member.key] = expand_use(scope, nodes, member);
      } else {
        const std::string name = scope.prefix + member.key;
        claim(name, member.key, member.key_where);
        flat_.push_back({name, member.key_where, plain_node(scope, nodes, member)});
        place_[name] = flat_.size() - 1;
        ends[member.key] = {{name}, {name}};
      }
      if (stopped_) return {};
    }
    for (const Member& member : nodes.members) add_orders(scope, nodes, member, ends);
    return ends_of(nodes, ends);
  }

  static Ends ends_of(const Value& nodes, const std::map<std::string, Ends>& ends) {
    std::set<std::string> followed;
    Ends out;
    const auto append = [](std::vector<std::string>& to, const std::vector<std::string>& names) { to.insert(to.end(), names.begin(), names.end()); };
    for (const Member& member : nodes.members) {
      bool first = true;
      for (const Value* text : references(member.value)) {
        const std::string head = head_of(text->string);
        if (ends.contains(head)) followed.insert(head), first = false;
      }
      if (first) append(out.first, ends.at(member.key).first);
    }
    for (const Member& member : nodes.members) {
      if (!followed.contains(member.key)) append(out.last, ends.at(member.key).last);
    }
    return out;
  }

  void claim(const std::string& full, const std::string& name, const Location& where) {
    if (!taken_.insert(full).second) faults_.error(where, name + ": there is another node \"" + full + "\"", "rename one of them");
  }

  /// With full names in "in"; those in "after" follow when all nodes are there.
  Value plain_node(const Use& scope, const Value& siblings, const Member& member) {
    Value node = member.value;
    if (!scope.outer || !node.is(Kind::object)) return node;
    if (Value* in = node.find("in")) {
      each_text(*in, [&](Value& text) { text.string = full_text(scope, siblings, member.key, text); });
    }
    set_stream(scope, member.key, node);
    return node;
  }

  /// "crop.region" within "large" is "large/crop.region". Within the pipeline names are full, and checked by validate().
  std::string full_text(const Use& scope, const Value& siblings, const std::string& owner, const Value& text) {
    if (!scope.outer) return text.string;
    const std::string head = head_of(text.string);
    const std::vector<std::string>& inputs = scope.part->in;
    if (head == "in") {
      const std::string port = text.string.size() > 2 ? text.string.substr(3) : "";
      const bool known = port.empty() || port == "*" ? !inputs.empty() : std::find(inputs.begin(), inputs.end(), port) != inputs.end();
      if (!known) {
        faults_.error(text.where, owner + ": the part has no input \"" + port + "\"", did_you_mean(port, inputs) + scope.part->takes());
      }
    } else if (!siblings.find(head)) {
      report_unknown(scope, siblings, owner, head, text.where);
    }
    return scope.prefix + text.string;
  }

  void report_unknown(const Use& scope, const Value& siblings, const std::string& owner, const std::string& head, const Location& where) {
    std::vector<std::string> names = siblings.keys();
    std::erase(names, owner);
    const std::string inputs = scope.part->in.empty() ? "" : "; inputs of the part: in." + join(scope.part->in, ", in.");
    faults_.error(where, owner + ": no node or port \"" + head + "\" in the part " + scope.part->name,
                  did_you_mean(head, names) + "there are: " + join(names) + inputs);
  }

  /// A random stream is called after the node's full name, but for what "stream" and "streams" on the way say.
  static void set_stream(const Use& scope, const std::string& name, Value& node) {
    const Value* own = node.find("stream");
    if (own && !own->is(Kind::string)) return;  // reported by validate()
    std::string stream = own ? own->string : name, inner = name;
    Location where = own ? own->where : node.where;
    for (const Use* use = &scope; use->outer; use = use->outer) {
      const Value* pins = use->node->find("streams");
      const Value* pin = pins ? pins->find(inner) : nullptr;
      const Value* word = use->node->find("stream");
      if (pin && pin->is(Kind::string)) {
        stream = pin->string, where = pin->where;
      } else {
        stream = (word && word->is(Kind::string) ? word->string : use->name) + "/" + stream;
      }
      inner = use->name + "/" + inner;
    }
    if (own || stream != inner) node.put("stream", where, text_value(stream, where));
  }

  /// The nodes of the part, in full names; its ends.
  Ends expand_use(const Use& outer, const Value& siblings, const Member& member) {
    const Value& node = member.value;
    const Part* part = library_.find(*node.find("use"), member.key, *outer.part, member.key_where);
    if (!part || !fits(outer, *part, member)) return {};
    const Use use{part, &outer, member.key, outer.prefix + member.key + "/", &node, in_use(part->value->where.source, member.key_where)};
    claim(outer.prefix + member.key, member.key, member.key_where);
    claim(use.prefix + "in", member.key, member.key_where);
    add_inputs(use, outer, siblings, member);
    add_outputs(use);
    const size_t before = all_faults_.count(), first = flat_.size();
    const Value let = let_of(use, member);
    if (all_faults_.count() != before) return {};
    Value nodes = *part->value->find("nodes");
    move_into(nodes, use.source);
    Substitution(&let, visited_, all_faults_).apply(nodes);
    if (all_faults_.count() != before) return stopped_ = true, Ends{};  // the other parts would say the same
    Ends ends = expand_nodes(use, nodes);
    check_streams(use, first);
    return ends;
  }

  /// Whether the part may be used here, and here once more.
  bool fits(const Use& outer, const Part& part, const Member& member) {
    constexpr size_t deepest = 16, most = 2000;
    const Value& use = *member.value.find("use");
    if (const Value* type = member.value.find("type")) {
      faults_.error(type->where, member.key + ": a node has a \"type\", or it uses a part", "remove \"type\" or \"use\"");
      return false;
    }
    std::vector<std::string> chain = {part.name};
    bool circle = false;
    for (const Use* at = &outer; at->outer; at = at->outer) {
      circle = circle || at->part == &part;
      chain.insert(chain.begin(), at->part->name);
      if (at->part == &part) break;
    }
    if (circle) {
      faults_.error(use.where, "the parts form a circle: " + join(chain, " -> "));
    } else if (chain.size() > deepest) {
      faults_.error(use.where, "parts are nested deeper than " + std::to_string(deepest) + " levels");
    } else if (made_ += 1 + part.value->find("nodes")->members.size(); made_ > most) {
      faults_.error(use.where, "parts stand for more than " + std::to_string(most) + " nodes");
    } else {
      return true;
    }
    stopped_ = true;
    return false;
  }

  /// "large/in": what is connected to the part's inputs.
  void add_inputs(const Use& use, const Use& outer, const Value& siblings, const Member& member) {
    const Value* in = use.node->find("in");
    Value ports = empty_value(Kind::object, in ? in->where : member.key_where);
    if (in && in->is(Kind::string) && use.part->in.empty()) {
      faults_.error(in->where, use.name + ": the part " + use.part->name + " takes no inputs");
    } else if (in && in->is(Kind::string)) {
      const bool star = in->string.ends_with(".*");
      for (const std::string& port : use.part->in) {
        const std::string text = star ? in->string.substr(0, in->string.size() - 1) + port : in->string;
        ports.put(port, in->where, text_value(full_text(outer, siblings, use.name, text_value(text, in->where)), in->where));
      }
    } else if (in && in->is(Kind::object)) {
      for (const Member& port : in->members) add_input(use, outer, siblings, port, ports);
    } else if (in) {
      faults_.error(in->where,
                    use.name + ": in must be \"node\", \"node.port\", \"node.*\" or an object from input to source, not " + kind_name(in->kind));
      return;
    }
    std::vector<std::string> open;
    for (const std::string& port : use.part->in) {
      if (!ports.find(port) && !(in && in->find(port))) open.push_back(port);
    }
    if (!open.empty() && !(in && in->is(Kind::string))) {
      faults_.error(in ? in->where : member.key_where, use.name + ": not connected: " + join(open), use.part->takes());
    }
    ports_.put(use.prefix + "in", member.key_where, std::move(ports));
  }

  void add_input(const Use& use, const Use& outer, const Value& siblings, const Member& port, Value& ports) {
    const std::vector<std::string>& inputs = use.part->in;
    if (std::find(inputs.begin(), inputs.end(), port.key) == inputs.end()) {
      faults_.error(port.key_where, use.name + ": the part has no input \"" + port.key + "\"", did_you_mean(port.key, inputs) + use.part->takes());
    } else if (!port.value.is(Kind::string)) {
      faults_.error(port.value.where, use.name + ": the source of " + port.key + " must be \"node\" or \"node.port\"");
    } else {
      ports.put(port.key, port.key_where, text_value(full_text(outer, siblings, use.name, port.value), port.value.where));
    }
  }

  /// "large": the nodes behind the part's outputs.
  void add_outputs(const Use& use) {
    const Value* out = use.part->value->find("out");
    Value ports = out ? *out : empty_value(Kind::object, use.part->value->where);
    move_into(ports, use.source);
    if (out && out->is(Kind::string)) ports.string = use.prefix + ports.string;
    for (Member& port : ports.members) port.value.string = use.prefix + port.value.string;
    const Location where = ports.where;
    ports_.put(use.prefix.substr(0, use.prefix.size() - 1), where, std::move(ports));
  }

  /// The part's let, with what is given in place of its defaults.
  Value let_of(const Use& use, const Member& member) {
    const Value* defaults = use.part->value->find("let");
    Value let = defaults ? *defaults : empty_value(Kind::object, member.key_where);
    move_into(let, use.source);
    for (const Member& given : use.node->members) {
      if (given.key == "use" || given.key == "in" || given.key == "after" || given.key == "stream" || given.key == "streams") continue;
      if (!let.find(given.key)) {
        faults_.error(given.key_where, use.name + ": the part has no let \"" + given.key + "\"",
                      did_you_mean(given.key, use.part->let) + use.part->takes());
        continue;
      }
      Value value = given.value;
      protect_dollars(value);  // the let of whoever gives it has been put in
      let.put(given.key, given.key_where, std::move(value));
    }
    for (const Member& entry : let.members) {
      if (!entry.value.is(Kind::null)) continue;
      const Value* given = use.node->find(entry.key);
      faults_.error(given ? given->where : member.key_where, use.name + ": the part must be given \"" + entry.key + "\"", use.part->takes());
    }
    return let;
  }

  void check_streams(const Use& use, size_t first) {
    if (const Value* word = use.node->find("stream"); word && !word->is(Kind::string)) {
      faults_.error(word->where, use.name + ": stream must be a string: the word that its nodes' streams begin with");
    }
    const Value* pins = use.node->find("streams");
    if (!pins) return;
    if (!pins->is(Kind::object)) {
      return faults_.error(pins->where, use.name + ": streams must be an object from the part's nodes to names, not " + kind_name(pins->kind));
    }
    std::vector<std::string> names;
    for (size_t i = first; i < flat_.size(); ++i) names.push_back(flat_[i].key.substr(use.prefix.size()));
    for (const Member& pin : pins->members) {
      if (std::find(names.begin(), names.end(), pin.key) == names.end()) {
        faults_.error(pin.key_where, use.name + ": the part has no node \"" + pin.key + "\"",
                      did_you_mean(pin.key, names) + "there are: " + join(names));
      } else if (!pin.value.is(Kind::string)) {
        faults_.error(pin.value.where, use.name + ": the stream of " + pin.key + " must be a string: the name that keys its random numbers");
      }
    }
  }

  /// "after" of a node, in full names: after a part means after the last of its nodes, and a part's own "after" is that
  /// of its first.
  void add_orders(const Use& scope, const Value& siblings, const Member& member, const std::map<std::string, Ends>& ends) {
    const Value* after = member.value.find("after");
    if (!after) return;
    Value list = empty_value(Kind::array, after->where);
    for (const Value& item : after->is(Kind::array) ? after->items : std::vector<Value>{*after}) {
      const auto found = item.is(Kind::string) ? ends.find(item.string) : ends.end();
      if (found != ends.end()) {
        for (const std::string& name : found->second.last) list.items.push_back(text_value(name, item.where));
      } else {
        if (scope.outer && item.is(Kind::string)) report_unknown(scope, siblings, member.key, item.string, item.where);
        list.items.push_back(item);
      }
    }
    for (const std::string& name : ends.at(member.key).first) {
      flat_[place_.at(name)].value.put("after", after->where, list);  // a part's first nodes have none of their own
    }
  }

  Value& pipeline_;
  size_t& visited_;
  Diagnostics& all_faults_;
  PartFaults faults_;
  PartLibrary library_;
  std::vector<Member> flat_;
  std::map<std::string, size_t> place_;  // in flat_
  std::set<std::string> taken_;          // names of nodes and of parts' ports
  Value ports_;
  size_t made_ = 0;
  bool stopped_ = false;  // after a fault that would be met again and again
};

}  // namespace

bool uses_part(const Value& node) { return node.is(Value::Kind::object) && node.find("use") != nullptr; }

void expand_parts(Value& pipeline, const Value* parts, size_t& visited, Diagnostics& faults) { Expander(pipeline, parts, visited, faults).run(); }

}  // namespace flowrun
