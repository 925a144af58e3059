// Named parameters of a model, in the order they were added, and their keyed initialisation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// The kind of a parameter, which decides its initial values.
enum class Init {
  linear,    ///< weight of a linear layer, [out, in]
  residual,  ///< weight of the last linear layer of a sub-block (attention projection, fc2), [out, in]
  patch,     ///< weight of the patch convolution, [D, C, patch, patch]
  token,     ///< class, register or mask token, [1, n, D]
  kaiming,   ///< uniform in +-1 / sqrt(inputs), whatever the scheme: convolutions, LoRA's A
  normal,    ///< normal of a given standard deviation, whatever the scheme
  uniform,   ///< uniform within a given distance from 0, whatever the scheme
  constant,  ///< a given value: layer scale
  zeros,     ///< biases
  ones,      ///< gains of layer norms
};

/// How the kinds above are drawn. The published I-JEPA runs are `ijepa`: its classes hold a depth rescale, but its
/// training helper draws every linear weight again afterwards; `ijepa_rescaled` keeps the rescale.
///   ijepa           weights and tokens: normal, sd 0.02, cut at +-2 absolute
///   ijepa_rescaled  the same, with residual weights of block k (from 1) divided by sqrt(2 k)
///   mae             weights: Xavier uniform, the patch weight seen as [D, C * patch^2]; tokens: normal, sd 0.02
///   moco_v3         as mae, with queries, keys and values as three weights; tokens: normal, sd 1e-6
enum class InitScheme { ijepa, ijepa_rescaled, mae, moco_v3 };

/// "ijepa", "ijepa_rescaled", "mae" or "moco_v3"; throws std::invalid_argument that lists them.
InitScheme init_scheme(std::string_view name);

struct Parameter {
  std::string name;
  Tensor value;
  Init init = Init::zeros;
  int block = 0;              ///< 1-based block that a residual weight belongs to
  double value_at_first = 0;  ///< of a constant; the standard deviation of Init::normal; the distance of Init::uniform
};

/// While it lives, Parameters made by this thread have shapes but no values, and need no memory: for inspecting a model.
/// Drawing, copying and moving values does nothing for them; passes can't be run.
class ShapesOnly {
 public:
  ShapesOnly();
  ~ShapesOnly();
  static bool active();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;
};

/// An ordered set of parameters with unique names (timm's, where timm has the parameter).
///
/// Copies would share storage, so there are none. Not thread-safe; concurrent readers are fine.
class Parameters {
 public:
  /// `family` goes before each name when values are drawn ("predictor/blocks.0…"), so that models with equal
  /// parameter names do not start with equal numbers.
  explicit Parameters(std::string family = "") : family_(std::move(family)) {}
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;
  Parameters(Parameters&&) = default;
  Parameters& operator=(Parameters&&) = default;

  /// Adds a float32 host parameter of zeros or, for Init::ones, ones; returns its index. Throws std::invalid_argument
  /// if the name is taken.
  size_t add(std::string name, const std::vector<int64_t>& shape, Init init, int block = 0);
  size_t add_constant(std::string name, const std::vector<int64_t>& shape, double value);
  size_t add_normal(std::string name, const std::vector<int64_t>& shape, double deviation);
  size_t add_uniform(std::string name, const std::vector<int64_t>& shape, double distance);

  size_t size() const { return list_.size(); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  const Parameter& at(size_t index) const { return list_.at(index); }
  const Tensor& operator[](size_t index) const { return list_[index].value; }
  /// nullptr if there is none.
  const Parameter* find(std::string_view name) const;
  /// Throws std::out_of_range with the name.
  const Tensor& get(std::string_view name) const;
  /// Number of scalars in all parameters.
  int64_t count() const;

  /// Draws all values. The values of a parameter depend only on (seed, family, its name, its shape, scheme): not on
  /// other parameters, order, device or threads. Drawn in float64, then rounded to the parameter's type.
  void initialise(uint64_t seed, InitScheme scheme = InitScheme::ijepa);

  /// Copies values by name. Throws std::invalid_argument unless names and shapes are the same on both sides.
  void copy_from(const Parameters& other);
  /// Copies one value, converting type and device. Throws std::out_of_range or std::invalid_argument (shape).
  void assign(std::string_view name, const Tensor& value);

  /// Moves every value. Gradients and handles taken before keep the old storage.
  void to(at::Device device, at::ScalarType dtype);
  void set_requires_grad(bool on);
  /// Enables gradients of the parameters that an optimizer trains: all, or only LoRA's additions if there are any.
  void set_trainable();
  /// Drops the gradients: the next backward pass allocates new ones.
  void zero_grad();

 private:
  void replace(Parameter& parameter, Tensor value);

  std::string family_;
  std::vector<Parameter> list_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace flowrun::model
