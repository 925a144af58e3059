#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <optional>
#include <sstream>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "io/file.h"
#include "nodes/lib/host/text/tokenizer.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/text_inputs.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct ZeroShot {
  static constexpr NodeInfo info{
      .type = "eval.zero_shot",
      .brief = "Accuracy of pictures whose class is the one with the nearest prompt: CLIP's evaluation without training.",
      .scope = Scope::evaluation,
      .details =
          "Each template with each name in the place of {} is a prompt. Once an evaluation the text tower and its head make a vector of each; "
          "those of a class, at length 1, are averaged and brought to length 1 (Radford et al. 2021, section 3.1.4). A picture has the class with "
          "the largest cosine. Reports accuracy in 0..1 and, with more than five classes, accuracy_top5."};
  struct Ports {
    In<Vectors> vectors{"vectors", "B D: whole pictures through the image tower and its head, with train false."};
    In<DeviceLabels> label{"label", "Classes."};
    void describe(auto& port) { port(vectors, label); }
  };
  struct Params : text::TokenizerParams {
    Ref<model::Text> text;
    Ref<model::Head> head;
    std::string pool = "end", templates_file, names_file;
    std::vector<std::string> templates = standard(), names;
    static std::vector<std::string> standard() { return {"a photo of a {}."}; }
    void describe(auto& param) {
      param.reads("text", text, "The text tower.");
      param.reads("head", head, "The head behind it.");
      param("pool", pool, model::text_pools(), model::text_pool_brief);
      param("templates", templates, "Sentences with {} where the class stands.");
      param.movable()("templates_file", templates_file,
                      "In their place a file of such sentences, one a line, relative to where the program is started; CLIP has 80.");
      param("names", names,
            "What the classes are called, by label; empty: as the source calls them. With the template \"{}\" these are the prompts.");
      param.movable()("names_file", names_file,
                      "The same as a file, a name a line in the order of the labels, relative to where the program is started.");
      TokenizerParams::describe(param);
    }
    std::optional<ParamFault> check() const {
      if (!names.empty() && !names_file.empty()) return ParamFault{"names_file", "names are given already"};
      const bool from_file = !templates_file.empty();
      if (from_file && !templates.empty() && templates != standard()) return ParamFault{"templates_file", "templates are given already"};
      if (!from_file && templates.empty()) return ParamFault{"templates", "templates must have at least one sentence"};
      for (const std::string& sentence : templates) {
        if (!has_place(sentence)) return ParamFault{"templates", without_place(sentence)};
      }
      return {};
    }
  };
  Params params;
  static std::vector<std::string> reports() { return {"accuracy", "accuracy_top5"}; }

  void plan(NodePlan& plan) const {
    const std::string& tower = params.text.names[0];
    plan.require_width("vectors", params.head->out_width(), params.head.names[0], "both towers must end in one width");
    model::check_pool(plan, *params.text, params.pool, tower);
    if (params.context > params.text->config().context) {
      plan.fault(
          "context",
          "prompts have " + std::to_string(params.context) + " places, but " + tower + " takes " + std::to_string(params.text->config().context),
          "give the context of text.tokens");
    }
    if (params.head->in_width() != params.text->width()) {
      plan.fault("head",
                 params.head.names[0] + " takes vectors of width " + std::to_string(params.head->in_width()) + ", but " + tower + " makes " +
                     std::to_string(params.text->width()),
                 "\"of\" of that head must name the text tower");
    }
  }

  void open(const OpenContext& context) {
    tokenizer_.emplace(params);
    names_ = params.names_file.empty() ? params.names : read_lines(params.names_file, "a name of a class");
    templates_ = params.templates_file.empty() ? params.templates : read_templates(params.templates_file);
    const SourceData* const data = context.input("label");
    if (data != nullptr && !data->labels_read) {
      throw NodeError("the pictures have no labels: connect label from the source to batch.stack and device.upload");
    }
    if (data == nullptr || data->place.empty()) return require_names();
    if (names_.empty() && (data->numbers || are_wordnets(data->classes))) {
      throw NodeError("the classes of " + data->place + " are numbers, as " + data->classes[0] + ": say by names or names_file what they are called");
    }
    if (names_.empty()) names_ = data->classes;
    if (!data->classes.empty() && data->classes.size() != names_.size()) {
      throw NodeError("there are names of " + std::to_string(names_.size()) + " classes, but " + data->place + " has " +
                      std::to_string(data->classes.size()));
    }
    require_names();
  }

  void fold(Ports& port, const FoldContext&) {
    const at::NoGradGuard no_grad;
    const DeviceLabels& labels = *port.label;
    if (!labels.labels_B.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
    if (!prompts_CD_.defined()) prompts_CD_ = encode_prompts(port.vectors->values_nD.device());
    const auto [known, least, most] = labels.range.of(labels.labels_B);
    if (least < 0 || most >= classes()) {
      throw NodeError("a label is " + std::to_string(least < 0 ? least : most) + ", but there are prompts of classes 0 to " +
                      std::to_string(classes() - 1));
    }
    const Float32 float32;
    const Tensor scores_BC = model::unit_rows(port.vectors->values_nD).matmul(prompts_CD_.t());
    if (scores_BC.size(0) != labels.labels_B.size(0)) throw NodeError("vectors and labels are of different pictures: take one view of each");
    const Tensor named_BK = std::get<1>(at::topk(scores_BC, std::min<int64_t>(5, classes())));
    const Tensor right_BK = named_BK.eq(labels.labels_B.unsqueeze(1));
    const Tensor sums = at::stack({right_BK.select(1, 0).sum(), right_BK.sum()}).to(at::kDouble);
    sums_ = sums_.defined() ? sums_.add(sums) : sums;
    images_ += labels.labels_B.numel();
  }

  void run(Ports&, EvaluationContext& context) {
    const Tensor mine = at::zeros({3}, at::kDouble);
    if (sums_.defined()) mine.narrow(0, 0, 2).copy_(sums_), mine[2].fill_(static_cast<double>(images_));
    const Tensor all = ranks::sum(context.run, mine, "adding up the accuracy");
    const Tensor mean = all.div(all[2]);
    context.report("accuracy", mean[0].item<double>());
    if (classes() > 5) context.report("accuracy_top5", mean[1].item<double>());
    sums_.reset(), prompts_CD_.reset(), images_ = 0;
  }

 private:
  int64_t classes() const { return static_cast<int64_t>(names_.size()); }
  void require_names() const {
    if (names_.empty()) throw NodeError("the source has no classes: say by names what there is");
  }

  /// ImageNet's folders: n01440764.
  static bool are_wordnets(const std::vector<std::string>& classes) {
    return !classes.empty() && std::all_of(classes.begin(), classes.end(), [](const std::string& name) {
      return name.size() == 9 && name[0] == 'n' && name.find_first_not_of("0123456789", 1) == std::string::npos;
    });
  }

  static bool has_place(const std::string& sentence) { return sentence.find("{}") != std::string::npos; }
  static std::string without_place(const std::string& sentence) { return "\"" + sentence + "\" has no {} for the class"; }

  static std::vector<std::string> read_templates(const std::string& file) {
    std::vector<std::string> out = read_lines(file, "a template");
    if (out.empty()) throw NodeError(file + " is empty; a template with {} for the class is expected in each line");
    for (size_t i = 0; i < out.size(); ++i) {
      if (!has_place(out[i])) throw NodeError(file + ":" + std::to_string(i + 1) + ": " + without_place(out[i]));
    }
    return out;
  }

  /// `what` a line is.
  static std::vector<std::string> read_lines(const std::string& file, const std::string& what) {
    std::vector<uint8_t> bytes;
    io::read_file(file, bytes);
    std::vector<std::string> out;
    std::istringstream lines(std::string(bytes.begin(), bytes.end()));
    for (std::string line; std::getline(lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (line.empty()) throw NodeError(file + ":" + std::to_string(out.size() + 1) + ": the line is empty; " + what + " is expected");
      out.push_back(line);
    }
    return out;
  }

  static std::string prompt(std::string sentence, const std::string& name) {
    for (size_t at = sentence.find("{}"); at != std::string::npos; at = sentence.find("{}", at + name.size())) sentence.replace(at, 2, name);
    return sentence;
  }

  /// [classes, D], rows of length 1.
  Tensor encode_prompts(at::Device device) const {
    model::require_vocabulary(tokenizer_->vocabulary().size() - 1, *params.text, params.text.names[0]);
    Tensor sum_CD;
    for (const std::string& sentence : templates_) {
      std::vector<int64_t> ids, ends;
      for (const std::string& name : names_) {
        TextTokens tokens;
        const int64_t places = tokenizer_->write(prompt(sentence, name), tokens);
        if (places > params.context) {
          throw NodeError("the prompt \"" + prompt(sentence, name) + "\" takes " + std::to_string(places) + " tokens, and context is " +
                          std::to_string(params.context));
        }
        ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end()), ends.push_back(tokens.end);
      }
      const Tensor ids_CT = send(ids.data(), {classes(), params.context}, at::kLong, device),
                   end_C = send(ends.data(), {classes()}, at::kLong, device);
      const Tensor vectors_CD = model::unit_rows(params.head->apply(params.text->encode(ids_CT, end_C, model::text_pool(params.pool))));
      sum_CD = sum_CD.defined() ? sum_CD.add(vectors_CD) : vectors_CD;
    }
    return model::unit_rows(sum_CD);
  }

  std::optional<text::Tokenizer> tokenizer_;
  std::vector<std::string> names_, templates_;
  Tensor prompts_CD_, sums_;
  int64_t images_ = 0;
};

FLOWRUN_NODE(ZeroShot);

}  // namespace
}  // namespace flowrun
