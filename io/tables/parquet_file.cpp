#include "io/tables/parquet_file.h"

#include "io/stores/arrow_module.h"
#include "io/stores/random_file.h"

namespace flowrun::io {

std::unique_ptr<ParquetFile> open_parquet(const std::string& path) { return arrow_module(path).open_parquet(open_random_file(path), path); }

}  // namespace flowrun::io
