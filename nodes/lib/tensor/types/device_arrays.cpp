// Arrays of the types that nodes without models put on the device: for input that is read on the host.
#include <ATen/core/Tensor.h>

#include "graph/contract/arrays.h"
#include "graph/text/error.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

ArrayView array_of(const char* name, Tensor& tensor) {
  if (!tensor.device().is_cpu()) throw RunError("a tensor on another device can't be read as an array of the host");
  tensor = tensor.contiguous();
  const auto element = tensor.scalar_type() == at::kFloat  ? ArrayView::Element::f32
                       : tensor.scalar_type() == at::kLong ? ArrayView::Element::i64
                       : tensor.scalar_type() == at::kBool ? ArrayView::Element::boolean
                                                           : ArrayView::Element::u8;
  return {name, element, tensor.sizes().vec(), tensor.data_ptr()};
}

std::vector<ArrayView> arrays(std::initializer_list<std::pair<const char*, Tensor*>> tensors) {
  std::vector<ArrayView> out;
  for (const auto& [name, tensor] : tensors) {
    if (tensor->defined()) out.push_back(array_of(name, *tensor));
  }
  return out;
}

template <class T>
void list(std::vector<ArrayView> (*of)(T&)) {
  static const auto function = of;
  register_arrays(T::type_name, [](void* value) { return function(*static_cast<T*>(value)); });
}

[[maybe_unused]] const bool listed = [] {
  list<DeviceImages>([](DeviceImages& value) { return arrays({{"", &value.images_BCHW}}); });
  list<DeviceLabels>([](DeviceLabels& value) { return arrays({{"", &value.labels_B}}); });
  list<DeviceLabelMaps>([](DeviceLabelMaps& value) { return arrays({{"", &value.maps_BHW}}); });
  list<SoftLabels>([](SoftLabels& value) { return arrays({{"values", &value.values_BC}, {"weight", &value.weight_B}}); });
  list<DeviceMasks>([](DeviceMasks& value) { return arrays({{"visible", &value.visible_BK}, {"targets", &value.targets_BRM}}); });
  return true;
}();

}  // namespace
}  // namespace flowrun
