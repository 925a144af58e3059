// Data of pictures, as a user names them, and the source that reads them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::app {

/// Data as a command line names them.
struct NamedData {
  std::string path;    // a folder of pictures, a list, shards, Parquet files; of the last two also a URL
  std::string as;      // "folder", "shards" or "parquet"; empty: told from what lies there
  std::string folder;  // of the pictures that a list names; empty: the list's
};

/// The source node that reads them: {"type": "source.folder", "path": …}. Throws PipelineError on data that no source reads.
nlohmann::ordered_json source_of(const NamedData& data);

}  // namespace flowrun::app
