// libflowrun_arrow.so, beside the program: the code that needs pyarrow's libraries (io/arrow). It is not linked, because these are 150 MB
// that most runs don't need; the first arrow_module() opens it.
#pragma once

#include <memory>
#include <string>

namespace flowrun::io {

class ObjectStore;
class ParquetFile;
class RandomFile;

struct ArrowModule {
  const ObjectStore& (*store)();
  std::unique_ptr<ParquetFile> (*open_parquet)(std::unique_ptr<RandomFile> file, const std::string& name);
};

// NEEDED_FOR begins the Error where the module can't be opened: "s3://bucket/x.tar".
const ArrowModule& arrow_module(const std::string& needed_for);

}  // namespace flowrun::io
