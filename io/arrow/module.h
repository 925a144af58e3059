// The parts of the module.
#pragma once

#include <memory>
#include <string>

#include "io/stores/object_store.h"
#include "io/stores/random_file.h"
#include "io/tables/parquet_file.h"

namespace flowrun::io {

std::unique_ptr<ParquetFile> open_parquet_file(std::unique_ptr<RandomFile> file, const std::string& name);
const ObjectStore& arrow_store();

}  // namespace flowrun::io
