// flowrun._core: the run library for Python. The package's Python files give it its face.
#include <Python.h>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <thread>

#include "graph/contract/version.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "tools/app/embed/embed.h"
#include "tools/app/load/check.h"
#include "tools/app/results/report.h"
#include "tools/app/run/batches.h"
#include "tools/app/run/run.h"
#include "tools/app/weights/hub.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace flowrun {
namespace {

nb::dlpack::dtype dtype_of(ArrayView::Element element) {
  switch (element) {
    case ArrayView::Element::u8:
      return nb::dtype<uint8_t>();
    case ArrayView::Element::boolean:
      return nb::dtype<bool>();
    case ArrayView::Element::i64:
      return nb::dtype<int64_t>();
    default:
      return nb::dtype<float>();
  }
}

template <class Framework>
nb::object array_object(const ArrayView& array, nb::handle owner) {
  std::vector<size_t> shape(array.shape.begin(), array.shape.end());
  return nb::cast(nb::ndarray<Framework>(array.data, shape.size(), shape.data(), owner, nullptr, dtype_of(array.element)));
}

/// (step, epoch, group, [(node, port, [(name, array)])]).
nb::tuple batch_object(const app::Batch& batch, bool torch) {
  const nb::capsule owner(new std::shared_ptr<void>(batch.owner), [](void* p) noexcept { delete static_cast<std::shared_ptr<void>*>(p); });
  nb::list values;
  for (const app::BatchValue& value : batch.values) {
    nb::list arrays;
    for (const ArrayView& array : value.arrays) {
      arrays.append(nb::make_tuple(array.name, torch ? array_object<nb::pytorch>(array, owner) : array_object<nb::numpy>(array, owner)));
    }
    values.append(nb::make_tuple(value.node, value.port, arrays));
  }
  return nb::make_tuple(batch.step, batch.epoch, batch.group, values);
}

/// PipelineError, RunError; everything else as RunError.
[[noreturn]] void rethrow(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const PipelineError&) {
    throw;
  } catch (const std::exception& error) {
    throw RunError(error.what());
  }
}

/// Does `work` without the GIL.
template <class Work>
auto freely(const Work& work) {
  const nb::gil_scoped_release free;
  try {
    return work();
  } catch (...) {
    rethrow(std::current_exception());
  }
}

/// What a run asks of Python. Its functions are called on the run's threads.
class PythonCaller : public app::Caller {
 public:
  PythonCaller(std::optional<nb::callable> say, std::optional<nb::callable> on_step) : say_(std::move(say)), on_step_(std::move(on_step)) {}

  void say(const std::string& line) override {
    if (say_) call([&] { (*say_)(line); });
  }
  std::unique_ptr<app::Progress> progress(bool /*quiet*/, const std::string& /*name*/) override { return std::make_unique<Steps>(*this); }
  void writes_to(const std::filesystem::path& run) override { folder_ = run.string(); }
  const std::atomic<bool>* stop() override { return &stop_; }
  std::function<void(const std::filesystem::path& run)> report() override { return app::try_report; }

  /// Waits for `work`, which runs on another thread, and looks for Ctrl-C meanwhile. With the GIL. Throws the first exception of a function
  /// of Python's, or KeyboardInterrupt, once the run has ended.
  void wait_for(const std::function<void()>& work) {
    std::exception_ptr failure;
    bool done = false;
    std::mutex mutex;
    std::condition_variable changed;
    std::thread thread([&] {
      try {
        work();
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      done = true;
      changed.notify_all();
    });
    while (true) {
      {
        const nb::gil_scoped_release free;
        std::unique_lock lock(mutex);
        if (changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return done; })) break;
      }
      if (PyErr_CheckSignals() != 0) fail(nb::python_error());
    }
    {
      const nb::gil_scoped_release free;
      thread.join();
    }
    if (error_) throw std::move(*error_);
    if (failure) rethrow(failure);
  }

  /// Of the run.
  const std::string& folder() const { return folder_; }

 private:
  class Steps : public app::Progress {
   public:
    explicit Steps(PythonCaller& caller) : caller_(caller) {}
    void line(const std::string& line, const std::function<void()>& /*write*/) override { caller_.say(line); }
    void step(const Engine& /*engine*/, const StepContext& context) override {
      if (!caller_.on_step_) return;
      caller_.call([&] {
        nb::dict values;
        values["step"] = context.step;
        values["epoch"] = context.epoch;
        values["images"] = context.images;
        for (const auto& [name, value] : context.reports) values[name.c_str()] = value;
        (*caller_.on_step_)(values);
      });
    }

   private:
    PythonCaller& caller_;
  };

  template <class Work>
  void call(const Work& work) {
    const nb::gil_scoped_acquire gil;
    if (error_) return;
    try {
      work();
    } catch (nb::python_error& error) {
      fail(std::move(error));
    }
  }

  /// The run ends after its step. With the GIL.
  void fail(nb::python_error error) {
    if (!error_) error_.emplace(std::move(error));
    stop_ = true;
  }

  std::optional<nb::callable> say_, on_step_;
  std::optional<nb::python_error> error_;
  std::atomic<bool> stop_{false};
  std::string folder_;
};

/// The exit status, and the run's folder.
std::pair<int, std::string> run(const std::string& file, std::vector<std::string> sets, const std::string& out, bool resume, int threads, bool trust,
                                std::optional<nb::callable> say, std::optional<nb::callable> on_step) {
  PythonCaller caller(std::move(say), std::move(on_step));
  app::RunArgs args;
  args.pipeline = {.file = file, .sets = std::move(sets), .trust = trust};
  args.out = out;
  args.resume = resume;
  args.threads = threads;
  args.quiet = true;
  int status = 0;
  caller.wait_for([&] { status = app::run(args, caller); });
  return {status, caller.folder()};
}

/// The exit status.
int embed(const std::string& weights, const std::string& data, const std::string& out, const std::string& model, int64_t step,
          const std::string& what, std::vector<int64_t> blocks, int64_t size, int64_t batch, const std::string& as, const std::string& folder,
          bool half, bool no_labels, bool again, std::vector<std::string> sets, int threads, std::optional<nb::callable> say) {
  PythonCaller caller(std::move(say), {});
  app::EmbedArgs args{.weights = weights,
                      .data = data,
                      .out = out,
                      .model = model,
                      .step = step,
                      .what = what,
                      .blocks = std::move(blocks),
                      .size = size,
                      .batch = batch,
                      .as = as,
                      .folder = folder,
                      .half = half,
                      .no_labels = no_labels,
                      .again = again,
                      .projector = "",
                      .sets = std::move(sets),
                      .threads = threads,
                      .quiet = true};
  app::Embedded done;
  caller.wait_for([&] { done = app::embed(args, caller); });
  for (const std::string& line : done.lines) caller.say(line);
  return done.status;
}

app::BatchesArgs batches_args(const std::string& file, std::vector<std::string> sets, std::vector<std::string> until, int64_t epochs, int threads,
                              int ahead, int rank, int world, bool trust) {
  return {.pipeline = {.file = file, .sets = std::move(sets), .trust = trust, .batches_leave = true},
          .until = std::move(until),
          .epochs = epochs,
          .threads = threads,
          .ahead = ahead,
          .rank = rank,
          .world = world};
}

void add_batches(nb::module_& m) {
  nb::class_<app::Batches>(m, "Batches")
      .def(
          "__init__",
          [](app::Batches* self, const std::string& file, std::vector<std::string> sets, std::vector<std::string> until, int64_t epochs, int threads,
             int ahead, int rank, int world, bool trust) {
            app::BatchesArgs args = batches_args(file, std::move(sets), std::move(until), epochs, threads, ahead, rank, world, trust);
            freely([&] { new (self) app::Batches(std::move(args)); });
          },
          "file"_a, "sets"_a, "until"_a, "epochs"_a, "threads"_a, "ahead"_a, "rank"_a, "world"_a, "trust"_a)
      .def(
          "next",
          [](app::Batches& self, bool torch) -> nb::object {
            const std::optional<app::Batch> batch = freely([&] { return self.next(); });
            return batch ? nb::object(batch_object(*batch, torch)) : nb::none();
          },
          "torch"_a,
          // (step, epoch, group, [(node, port, [(name, array)])]); None: the last epoch is over.
          nb::sig("def next(self, torch: bool) -> tuple[int, int, int, list[tuple[str, str, list[tuple[str, typing.Any]]]]] | None"))
      .def("seek", &app::Batches::seek, nb::call_guard<nb::gil_scoped_release>(), "groups"_a)
      .def("position", &app::Batches::position)
      .def_prop_ro("given", &app::Batches::given)
      .def("ledger", &app::Batches::ledger, nb::call_guard<nb::gil_scoped_release>())
      .def("close", &app::Batches::close, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("batches_per_epoch", &app::Batches::batches_per_epoch)
      .def_prop_ro("groups_per_step", &app::Batches::groups_per_step)
      .def_prop_ro("epochs", &app::Batches::epochs)
      .def_prop_ro("samples_per_batch", &app::Batches::samples_per_batch)
      .def_prop_ro("nodes", [](const app::Batches& self) { return self.nodes(); })
      .def_prop_ro("classes", [](const app::Batches& self) { return self.classes(); });
}

}  // namespace
}  // namespace flowrun

// NOLINTNEXTLINE(misc-use-anonymous-namespace): the macro makes the entry point
NB_MODULE(_core, m) {
  using namespace flowrun;
  const nb::exception<PipelineError> pipeline_error(m, "PipelineError", PyExc_ValueError);
  const nb::exception<RunError> run_error(m, "RunError", PyExc_RuntimeError);
  m.attr("__version__") = version;
  add_batches(m);
  m.def("run", &run, "file"_a, "sets"_a, "out"_a, "resume"_a, "threads"_a, "trust"_a, "say"_a.none(), "on_step"_a.none(),
        nb::sig("def run(file: str, sets: collections.abc.Sequence[str], out: str, resume: bool, threads: int, trust: bool, "
                "say: collections.abc.Callable[[str], object] | None, on_step: collections.abc.Callable[[dict[str, typing.Any]], object] | None) "
                "-> tuple[int, str]"));
  m.def(
      "check",
      [](const std::string& file, const std::vector<std::string>& sets, bool trust) {
        return freely([&] { return json_text(app::check({.file = file, .sets = sets, .trust = trust})); });
      },
      "file"_a, "sets"_a, "trust"_a);
  m.def(
      "export_folder",
      [](const std::string& from, const std::string& to, const std::string& model, int64_t heads, bool allow_partial, const std::string& licence,
         bool onnx, bool pt2) {
        freely([&] {
          app::export_folder({.weights = {.from = from, .to = to, .model = model, .heads = heads, .allow_partial = allow_partial},
                              .licence = licence,
                              .onnx = onnx,
                              .pt2 = pt2});
        });
      },
      "source"_a, "to"_a, "model"_a, "heads"_a, "allow_partial"_a, "licence"_a, "onnx"_a, "pt2"_a);
  m.def("embed", embed, "weights"_a, "data"_a, "out"_a, "model"_a, "step"_a, "what"_a, "blocks"_a, "size"_a, "batch"_a, "layout"_a, "folder"_a,
        "half"_a, "no_labels"_a, "again"_a, "sets"_a, "threads"_a, "say"_a.none());
  m.def(
      "expand",
      [](const std::string& file, const std::vector<std::string>& sets, bool trust) {
        return freely([&] { return json_text(app::expand({.file = file, .sets = sets, .trust = trust})); });
      },
      "file"_a, "sets"_a, "trust"_a);
}
