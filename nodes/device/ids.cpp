#include "graph/node.h"
#include "nodes/lib/host/types/sample_ids.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/types/device_ids.h"

namespace flowrun {
namespace {

struct UploadIds {
  static constexpr NodeInfo info{
      .type = "device.ids",
      .brief = "Brings the numbers of samples to the device, for tables with a row for each sample.",
      .scope = Scope::device,
      .details =
          "A sample's number is its index in the source, the same in every epoch and on any number of ranks. On CUDA the copy goes beside "
          "the work on earlier groups, as that of device.upload."};
  struct Ports {
    In<SampleIds> ids{"ids", "From batch.stack or batch.contrast."};
    Out<DeviceIds> out{"ids", "B int64, or B n of batch.contrast."};
    void describe(auto& port) { port(ids, out); }
  };

  void plan(NodePlan& plan) const { plan.out["ids"] = plan.in["ids"]; }

  void open(const OpenContext& context) { device_ = torch_device(context.run); }

  void run(Ports& port, const GroupContext&) {
    const SampleIds& in = *port.ids;
    CopyStream copies(device_);
    const Tensor ids = send(in.values.data(), {in.rows, in.each}, at::kLong, device_);
    port.out->ids = in.each == 1 ? ids.squeeze(1) : ids;
    copies.end({port.out->ids});
  }

 private:
  at::Device device_{at::kCPU};
};

FLOWRUN_NODE(UploadIds);

}  // namespace
}  // namespace flowrun
