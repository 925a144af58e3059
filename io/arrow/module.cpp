#include "io/arrow/module.h"

#include "io/stores/arrow_module.h"

extern "C" __attribute__((visibility("default"))) void flowrun_arrow(flowrun::io::ArrowModule* module) {
  *module = {flowrun::io::arrow_store, flowrun::io::open_parquet_file};
}
