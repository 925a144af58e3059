#include "graph/check/connect.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "graph/check/order.h"
#include "graph/compose/part_ports.h"

namespace flowrun {
namespace {

using Kind = Value::Kind;

class Connector {
 public:
  Connector(const std::vector<const Value*>& objects, const Value* ports, const std::vector<std::string>& broken, CheckedPipeline& pipeline,
            Diagnostics& faults)
      : objects_(objects), parts_(ports), broken_(broken), p_(pipeline), faults_(faults) {}

  void run() {
    const size_t before = faults_.count();
    for (int n = 0; n < count(); ++n) repeat_lists(n);
    check_parts();
    for (int n = 0; n < count(); ++n) {
      connect(n);
      read_after(n);
    }
    const bool connected = faults_.count() == before && broken_.empty();
    if (connected) check_scopes();
    if (broken_.empty()) find_unused();
    // Consequences of a missing connection are not reported as separate faults.
    if (!sort_nodes(p_, faults_) || !connected) return;
    find_streams(p_, faults_);
    if (faults_.count() == before) check_order(p_, faults_);
  }

 private:
  CheckedNode& node(int n) { return p_.nodes[n]; }
  int count() const { return static_cast<int>(p_.nodes.size()); }
  const std::vector<PortDoc>& ports(int n) { return node(n).ports; }

  bool is_broken(const std::string& name) const { return std::find(broken_.begin(), broken_.end(), name) != broken_.end(); }

  int find_node(std::string_view name) {
    for (int n = 0; n < count(); ++n) {
      if (node(n).name == name) return n;
    }
    return -1;
  }

  /// `image "image", region "region"`: the outputs of a node, for messages.
  std::string provides(int n) {
    std::vector<std::string> out;
    for (const PortDoc& port : ports(n)) {
      if (!port.input) out.push_back(port.name + " (" + port.type->name + ")");
    }
    return out.empty() ? node(n).name + " provides nothing" : node(n).name + " provides: " + join(out);
  }

  /// The same of a node or a part.
  std::string provides(const std::string& name) {
    const Value* ports = parts_.find(name);
    if (!ports) return provides(find_node(name));
    if (ports->is(Kind::string)) return provides(ports->string);
    return name + (ports->members.empty() ? " provides nothing" : " provides: " + join(ports->keys()));
  }

  std::string takes(int n) {
    std::vector<std::string> out;
    for (const PortDoc& port : node(n).type->ports) {
      if (port.input) out.push_back(port.name + " (" + type_text(port) + (port.optional ? ", optional)" : ")"));
    }
    return out.empty() ? node(n).type->info.type + std::string(" takes no inputs") : node(n).type->info.type + std::string(" takes: ") + join(out);
  }

  /// The ports of the type, a list once for each connection that the node gives it.
  void repeat_lists(int n) {
    const Value* in = objects_[n]->find("in");
    for (const PortDoc& port : node(n).type->ports) {
      const Value* items = port.list && in && in->is(Kind::object) ? in->find(port.name) : nullptr;
      const size_t times = items && items->is(Kind::array) ? std::max<size_t>(1, items->items.size()) : 1;
      node(n).ports.insert(node(n).ports.end(), times, port);
    }
    node(n).sources.assign(ports(n).size(), {});
  }

  static std::string type_text(const PortDoc& port) { return std::string(port.list ? "list of " : "") + port.type->name; }

  void connect(int n) {
    const Value* in = objects_[n]->find("in");
    if (in && in->is(Kind::string)) {
      connect_all(n, *in);
    } else if (in && in->is(Kind::object)) {
      connect_map(n, *in);
    } else if (in) {
      faults_.error(in->where,
                    node(n).name + ": in must be \"node\", \"node.port\", \"node.*\" or an object from port to source, not " + kind_name(in->kind));
      failed_.insert({n, -1});
      return;
    }
    std::vector<std::string> open;
    for (size_t i = 0; i < ports(n).size(); ++i) {
      const PortDoc& port = ports(n)[i];
      if (port.input && !port.optional && node(n).sources[i].node < 0 && !failed_.contains({n, static_cast<int>(i)})) {
        open.push_back(port.name + " (" + type_text(port) + ")");
      }
    }
    if (!open.empty() && !failed_.contains({n, -1})) {
      faults_.error(in ? in->where : node(n).where, node(n).name + ": not connected: " + join(open), takes(n));
      failed_.insert({n, -1});
    }
  }

  /// A string: every required input (of "node.*": every input that has a namesake) comes from one node.
  void connect_all(int n, const Value& in) {
    const bool star = in.string.ends_with(".*");
    const std::string name = star ? in.string.substr(0, in.string.size() - 2) : in.string;
    const std::vector<PortDoc>& all = ports(n);
    if (std::none_of(all.begin(), all.end(), [](const PortDoc& p) { return p.input; })) {
      faults_.error(in.where, node(n).name + ": " + takes(n));
      return;
    }
    const auto required = std::count_if(all.begin(), all.end(), [](const PortDoc& p) { return p.input && !p.optional; });
    if (star && !known_node(n, name, in.where)) return void(failed_.insert({n, -1}));
    for (size_t i = 0; i < all.size(); ++i) {
      if (!all[i].input) continue;
      if (star) {
        const PortSource source = namesake(name, all[i]);
        if (fits(source, all[i])) node(n).sources[i] = source;
      } else if (!all[i].optional || (required == 0 && i == 0)) {
        bind(n, static_cast<int>(i), name, in.where);
        if (failed_.contains({n, static_cast<int>(i)})) return void(failed_.insert({n, -1}));
      }
    }
  }

  void connect_map(int n, const Value& in) {
    for (const Member& member : in.members) {
      std::vector<std::string> names;
      int port = -1;
      for (size_t i = 0; i < ports(n).size(); ++i) {
        if (!ports(n)[i].input) continue;
        names.push_back(ports(n)[i].name);
        if (names.back() == member.key && port < 0) port = static_cast<int>(i);
      }
      if (port < 0) {
        faults_.error(member.key_where, node(n).name + ": no input \"" + member.key + "\"", did_you_mean(member.key, names) + takes(n));
        failed_.insert({n, -1});
      } else if (ports(n)[port].list && member.value.is(Kind::array)) {
        connect_list(n, port, member.value);
      } else if (!member.value.is(Kind::string)) {
        faults_.error(member.value.where, node(n).name + ": the source of " + member.key + " must be \"node\" or \"node.port\"" +
                                              (ports(n)[port].list ? ", or a list of these" : ""));
        failed_.insert({n, port});
      } else {
        bind(n, port, member.value.string, member.value.where);
      }
    }
  }

  void connect_list(int n, int first, const Value& list) {
    for (size_t i = 0; i < list.items.size(); ++i) {
      const Value& item = list.items[i];
      const int port = first + static_cast<int>(i);
      if (item.is(Kind::string)) {
        bind(n, port, item.string, item.where);
        const PortSource& from = node(n).sources[port];
        const auto twice = [&](int other) { return node(n).sources[other].node == from.node && node(n).sources[other].port == from.port; };
        for (int other = first; from.node >= 0 && other < port; ++other) {
          if (twice(other)) faults_.error(item.where, node(n).name + ": " + item.string + " is in the list " + ports(n)[first].name + " twice");
        }
      } else {
        faults_.error(item.where, node(n).name + ": an item of " + ports(n)[first].name + " must be \"node\" or \"node.port\"");
        failed_.insert({n, port});
      }
    }
  }

  /// The node of that name, or -1 after a fault. `owner` names it: the node n, or a part (n < 0).
  int source_node(const std::string& owner, int n, const std::string& name, const Location& where, bool or_part = false) {
    const int from = find_node(name);
    if (from >= 0 || is_broken(name)) return from;
    std::vector<std::string> names;
    for (int i = 0; i < count(); ++i) {
      if (i != n) names.push_back(node(i).name);
    }
    if (or_part) {
      const std::vector<std::string> users = parts_.users();
      names.insert(names.end(), users.begin(), users.end());
    }
    const std::string best = nearest(name, names);
    faults_.error(where, owner + ": no node or port \"" + name + "\"",
                  best.empty() ? "there are: " + join(names) : "did you mean \"" + best + "\"? " + provides(best));
    return -1;
  }

  /// The connections of parts, inwards and outwards, are checked once, at the place that states them.
  void check_parts() {
    for (const PartPorts::Port& port : parts_.all()) known(port.part, -1, *port.text, port.where);
  }

  /// Whether all that `text` ("node", "node.port", "part.port", …) names is there. What isn't is a fault here, unless it is
  /// one of the ports of a part, where it was told.
  bool known(const std::string& owner, int n, const std::string& text, const Location& where) {
    const PortName name(text);
    if (const Value* ports = parts_.find(name.node)) {
      if (ports->is(Kind::string)) return known(owner, n, ports->string + (name.has_port ? "." + name.port : ""), where);
      if (name.has_port && !ports->find(name.port)) {
        faults_.error(where, owner + ": " + name.node + " has no output \"" + name.port + "\"",
                      did_you_mean(name.port, ports->keys()) + provides(name.node));
        return false;
      }
      return is_sound(text);
    }
    const int from = source_node(owner, n, name.node, where, /*or_part=*/true);
    if (from < 0 || !name.has_port || named_output(from, name.port) >= 0) return from >= 0;
    std::vector<std::string> names;
    for (const PortDoc& p : ports(from)) {
      if (!p.input) names.push_back(p.name);
    }
    faults_.error(where, owner + ": " + node(from).name + " has no output \"" + name.port + "\"", did_you_mean(name.port, names) + provides(from));
    return false;
  }

  /// The same of "node" or "part" alone.
  bool known_node(int n, const std::string& name, const Location& where) {
    return parts_.find(name) ? is_sound(name) : source_node(node(n).name, n, name, where, /*or_part=*/true) >= 0;
  }

  /// known() without a word.
  bool is_sound(const std::string& text) {
    const auto [found, is_new] = sound_.try_emplace(text, false);
    if (!is_new) return found->second;
    const PortName name(text);
    const Value* ports = parts_.find(name.node);
    bool sound = false;
    if (!ports) {
      const int from = find_node(name.node);
      sound = from >= 0 && (!name.has_port || named_output(from, name.port) >= 0);
    } else if (ports->is(Kind::string)) {
      sound = is_sound(ports->string + (name.has_port ? "." + name.port : ""));
    } else if (name.has_port) {
      const Value* port = ports->find(name.port);
      sound = port && is_sound(port->string);
    } else {
      sound = std::all_of(ports->members.begin(), ports->members.end(), [&](const Member& port) { return is_sound(port.value.string); });
    }
    return sound_[text] = sound;
  }

  int named_output(int n, const std::string& name) {
    for (size_t i = 0; i < ports(n).size(); ++i) {
      if (!ports(n)[i].input && ports(n)[i].name == name) return static_cast<int>(i);
    }
    return -1;
  }

  bool fits(int from, int port, const PortDoc& input) { return std::string_view(ports(from)[port].type->name) == input.type->name; }

  bool fits(const PortSource& source, const PortDoc& input) { return source.port >= 0 && fits(source.node, source.port, input); }

  /// One input from "node" or "node.port", or from a part.
  void bind(int n, int input, const std::string& text, const Location& where) {
    failed_.insert({n, input});
    if (!known(node(n).name, n, text, where)) return;
    const PortDoc& wanted = ports(n)[input];
    const PortSource found = output(text, wanted);
    const std::string meant = behind(text), name = PortName(meant).node;
    if (found.port == several) {
      faults_.error(where, node(n).name + ": " + name + " has several outputs of type " + wanted.type->name + "; say which", provides(name));
      return;
    }
    if (!fits(found, wanted)) {
      const std::string given = found.port < 0 ? "" : ", but " + meant + " is " + ports(found.node)[found.port].type->name;
      faults_.error(where, node(n).name + ": input " + wanted.name + " takes " + wanted.type->name + given,
                    found.port < 0 ? provides(name) : takes(n));
      return;
    }
    node(n).sources[input] = found;
    failed_.erase({n, input});
  }

  /// The port or node behind a port of a part; a part with several outputs stays as it is.
  std::string behind(const std::string& text) {
    const PortName name(text);
    const Value* ports = parts_.find(name.node);
    if (!ports || (!ports->is(Kind::string) && !name.has_port)) return text;
    return behind(ports->is(Kind::string) ? ports->string + (name.has_port ? "." + name.port : "") : ports->find(name.port)->string);
  }

  /// The output that `text`, whose names are known, gives to an input. Port -1: nothing of its type; `several`: more than one.
  PortSource output(const std::string& text, const PortDoc& wanted) {
    const PortName name(text);
    const Value* ports = parts_.find(name.node);
    if (!ports) {
      const int from = find_node(name.node);
      return {from, name.has_port ? named_output(from, name.port) : output_for(from, wanted)};
    }
    if (ports->is(Kind::string)) return output(ports->string + (name.has_port ? "." + name.port : ""), wanted);
    if (name.has_port) return output(ports->find(name.port)->string, wanted);
    const auto [found, is_new] = of_part_.try_emplace({ports, wanted.name, wanted.type->name});
    if (is_new) found->second = output_of_part(*ports, wanted);
    return found->second;
  }

  /// As of a node: the port of the input's name, else the only one of its type.
  PortSource output_of_part(const Value& ports, const PortDoc& wanted) {
    if (const Value* same = ports.find(wanted.name)) {
      if (const PortSource source = output(same->string, wanted); fits(source, wanted)) return source;
    }
    PortSource only;
    for (const Member& port : ports.members) {
      const PortSource source = output(port.value.string, wanted);
      if (source.port == several || (fits(source, wanted) && only.port >= 0)) return {source.node, several};
      if (fits(source, wanted)) only = source;
    }
    return only;
  }

  /// Of "node.*" or "part.*": the output of the input's name.
  PortSource namesake(const std::string& name, const PortDoc& wanted) {
    const Value* ports = parts_.find(name);
    if (!ports) {
      const int from = find_node(name);
      return {from, named_output(from, wanted.name)};
    }
    if (ports->is(Kind::string)) return namesake(ports->string, wanted);
    const Value* port = ports->find(wanted.name);
    return port ? output(port->string, wanted) : PortSource{};
  }

  /// "node" alone: its output of the input's name, else its only output of the input's type (-1: none).
  int output_for(int from, const PortDoc& wanted) {
    const int same = named_output(from, wanted.name);
    if (same >= 0 && fits(from, same, wanted)) return same;
    int found = -1;
    for (size_t i = 0; i < ports(from).size(); ++i) {
      if (ports(from)[i].input || !fits(from, static_cast<int>(i), wanted)) continue;
      if (found >= 0) return several;
      found = static_cast<int>(i);
    }
    return found;
  }

  void read_after(int n) {
    const Value* after = objects_[n]->find("after");
    if (!after) return;
    std::vector<const Value*> items = {after};
    if (after->is(Kind::array)) {
      items.clear();
      for (const Value& item : after->items) items.push_back(&item);
    }
    for (const Value* item : items) {
      if (!item->is(Kind::string)) {
        faults_.error(item->where, node(n).name + ": after takes the name of a node, or a list of names");
        continue;
      }
      const int from = source_node(node(n).name, n, item->string, item->where);
      if (from < 0) continue;
      if (level_of(node(from).scope()) != level_of(node(n).scope())) {
        faults_.error(item->where, node(n).name + ": after orders nodes of one scope, but " + node(from).name + " is a " +
                                       scope_name(node(from).scope()) + " node and " + node(n).name + " a " + scope_name(node(n).scope()) + " node");
        continue;
      }
      if (node(from).type->info.moment > node(n).type->info.moment) {
        faults_.error(item->where,
                      node(n).name + ": " + node(from).name + " runs after all others of its step, so " + node(n).name + " can't come after it");
        continue;
      }
      node(n).after.push_back(from);
    }
  }

  Location input_place(int n, int port) {
    const Value* in = objects_[n]->find("in");
    if (in && in->is(Kind::object)) in = in->find(ports(n)[port].name);
    if (in && in->is(Kind::array) && !in->items.empty()) {
      int first = port;
      while (first > 0 && ports(n)[first - 1].name == ports(n)[port].name) --first;
      in = &in->items[static_cast<size_t>(port - first)];
    }
    return in ? in->where : node(n).where;
  }

  void check_scopes() {
    for (int n = 0; n < count(); ++n) {
      const int level = level_of(node(n).scope());
      for (size_t i = 0; i < node(n).sources.size(); ++i) {
        const int from = node(n).sources[i].node;
        if (from < 0) continue;
        const int source_level = level_of(node(from).scope());
        const bool device_to_host = node(from).scope() >= Scope::device && node(n).scope() == Scope::batch;
        // Samples arrive on all threads at once, which only batch nodes can handle.
        const bool below = level == 1 ? source_level == 0 && node(n).scope() == Scope::batch : level > 1 && source_level == 1;
        const bool late_to_early = node(from).type->info.moment > node(n).type->info.moment;
        if ((source_level == level && !device_to_host && !late_to_early) || (below && node(n).type->folds)) continue;
        faults_.error(input_place(n, static_cast<int>(i)),
                      node(n).name + ": a " + scope_name(node(n).scope()) + " node can't read from " + node(from).name + ", a " +
                          scope_name(node(from).scope()) + " node",
                      source_level == 0 && level > 0 ? "samples become groups through a batch node such as batch.stack" : "");
      }
    }
  }

  /// Whether an input that is wrongly connected may have meant an output of this type.
  bool may_be_meant(const PortDoc& output) {
    return std::any_of(failed_.begin(), failed_.end(), [&](const auto& failed) {
      const auto& all = ports(failed.first);
      return std::any_of(all.begin(), all.end(), [&](const PortDoc& p) { return p.input && p.type->name == std::string_view(output.type->name); });
    });
  }

  void find_unused() {
    std::set<int> read;
    for (int n = 0; n < count(); ++n) {
      for (const PortSource& source : node(n).sources) read.insert(source.node);
    }
    for (int n = 0; n < count(); ++n) {
      std::vector<std::string> outputs;
      bool meant = false;
      for (const PortDoc& port : ports(n)) {
        if (!port.input) outputs.push_back(port.name), meant = meant || may_be_meant(port);
      }
      const bool writes =
          std::any_of(node(n).uses.begin(), node(n).uses.end(), [](const ModelUse& use) { return use.access == Models::Access::writes; });
      const bool leaves = p_.batches_leave && (node(n).scope() == Scope::batch || (node(n).scope() == Scope::device && node(n).uses.empty()));
      if (outputs.empty() || writes || meant || leaves || read.contains(n)) continue;
      faults_.error(node(n).where, node(n).name + ": nothing reads what it provides (" + join(outputs) + ")", "connect it, or drop it");
    }
  }

  static constexpr int several = -2;

  std::vector<const Value*> objects_;
  PartPorts parts_;
  std::map<std::string, bool> sound_;                                                 // of texts
  std::map<std::tuple<const Value*, std::string, std::string>, PortSource> of_part_;  // by the input's name and type
  const std::vector<std::string>& broken_;
  CheckedPipeline& p_;
  Diagnostics& faults_;
  std::set<std::pair<int, int>> failed_;  // (node, port) already reported; port -1: the node's whole "in"
};

}  // namespace

void connect_nodes(const std::vector<const Value*>& objects, const Value* ports, const std::vector<std::string>& broken, CheckedPipeline& pipeline,
                   Diagnostics& faults) {
  Connector(objects, ports, broken, pipeline, faults).run();
}

}  // namespace flowrun
