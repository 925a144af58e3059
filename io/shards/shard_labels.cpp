// Scanned shards to one index: the labels.
#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "io/codec/image_format.h"
#include "io/error.h"
#include "io/folders/class_names.h"
#include "io/shards/shard_scan.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

std::string_view folder_of(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash + 1);
}

/// The folders that all names have in common, with their last slash.
std::string_view shared_folder(const std::vector<ScannedShard>& scans) {
  std::string_view shared;
  bool first = true;
  for (const ScannedShard& scan : scans) {
    for (const ScannedSample& sample : scan.samples) {
      const std::string_view folder = folder_of(sample.image);
      if (first) shared = folder, first = false;
      const auto [end, unused] = std::mismatch(shared.begin(), shared.end(), folder.begin(), folder.end());
      shared = folder_of(shared.substr(0, static_cast<size_t>(end - shared.begin())));
    }
  }
  return shared;
}

/// The class folder of a name: the first below what all share; empty when it lies there itself.
std::string_view class_folder(std::string_view name, std::string_view shared) {
  name.remove_prefix(shared.size());
  const size_t slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

/// Sorted; empty when images lie beside the folders, as in a flat folder.
std::vector<std::string> class_folders(const std::vector<ScannedShard>& scans, std::string_view shared) {
  std::set<std::string, std::less<>> names;
  for (const ScannedShard& scan : scans) {
    for (const ScannedSample& sample : scan.samples) {
      const std::string_view folder = class_folder(sample.image, shared);
      if (folder.empty()) return {};
      if (!names.contains(folder)) names.emplace(folder);
    }
  }
  return {names.begin(), names.end()};
}

LabelKind kind_of(const std::vector<ScannedShard>& scans, const IndexOptions& options, bool folders) {
  if (options.labels) return *options.labels;
  const auto any = [&](auto has) {
    return std::any_of(scans.begin(), scans.end(),
                       [&](const ScannedShard& scan) { return std::any_of(scan.samples.begin(), scan.samples.end(), has); });
  };
  if (any([](const ScannedSample& sample) { return sample.cls.has_value(); })) return LabelKind::cls;
  if (any([](const ScannedSample& sample) { return sample.json.has_value(); })) return LabelKind::json;
  return folders ? LabelKind::folder : LabelKind::none;
}

const std::string& label_of(const ScannedSample& sample, LabelKind kind, const fs::path& shard) {
  const std::optional<std::string>& label = kind == LabelKind::cls ? sample.cls : sample.json;
  if (label) return *label;
  throw Error(shard.string() + ": " + sample.image +
              (kind == LabelKind::cls ? " has no .cls beside it, as others have"
                                      : " has no .json with a number or a name as \"label\", \"cls\" or \"class\", as others have") +
              "; choose other labels with --labels, or none with --labels none");
}

/// The label of each sample, in the order of the index.
ClassNames read_labels(const std::vector<ScannedShard>& scans, LabelKind kind, const std::vector<fs::path>& shards, std::string& remark) {
  std::vector<std::string> texts;
  std::string number_of, name_of;  // a label of each kind
  for (size_t i = 0; i < scans.size(); ++i) {
    for (const ScannedSample& sample : scans[i].samples) {
      texts.push_back(label_of(sample, kind, shards[i]));
      double number = 0;
      const char* const end = texts.back().data() + texts.back().size();
      const bool is_number = std::from_chars(texts.back().data(), end, number).ptr == end && !texts.back().empty();
      if (!texts.back().empty()) (is_number ? number_of : name_of) = texts.back();
      if (!is_number || whole_number(texts.back()) >= -1) continue;
      throw Error(shards[i].string() + ": the label of " + sample.image + " is " + texts.back() +
                  ", which is no class: classes are names or whole numbers from 0 on; --labels none leaves labels out");
    }
  }
  if (!number_of.empty() && !name_of.empty())
    remark = "some labels are numbers, as " + number_of + ", and some names, as " + name_of + ": all are taken for names";
  return name_classes(texts);
}

/// Numbers have names if each folder has one number, and the numbers are the places of the sorted folders.
bool folders_name_labels(const ShardIndex& index, const std::vector<std::string>& folders, std::string_view shared) {
  return !folders.empty() && std::all_of(index.samples.begin(), index.samples.end(), [&](const ShardSample& sample) {
    return sample.label >= 0 && static_cast<size_t>(sample.label) < folders.size() &&
           folders[static_cast<size_t>(sample.label)] == class_folder(index.name(sample), shared);
  });
}

}  // namespace

IndexedShards merge_scans(std::vector<ScannedShard>& scans, const std::vector<fs::path>& shards, const IndexOptions& options) {
  size_t count = 0;
  for (const ScannedShard& scan : scans) count += scan.samples.size();
  if (count == 0)
    throw Error("no image (" + image_extensions("or") + ") in " + shards[0].string() + (shards.size() > 1 ? " and the other shards" : ""));
  const std::string shared(shared_folder(scans));
  const std::vector<std::string> folders = class_folders(scans, shared);
  IndexedShards out;
  ShardIndex& index = out.index;
  index.labels = kind_of(scans, options, !folders.empty());
  if (index.labels == LabelKind::folder && folders.empty()) {
    throw Error("the images of " + shards[0].string() + " lie in no folders of classes; choose other labels with --labels");
  }
  index.samples.reserve(count);
  const bool captions = std::any_of(scans.begin(), scans.end(), [](const ScannedShard& scan) {
    return std::any_of(scan.samples.begin(), scan.samples.end(), [](const ScannedSample& sample) { return sample.caption.size > 0; });
  });
  const bool written = index.labels == LabelKind::cls || index.labels == LabelKind::json;
  const ClassNames named = written ? read_labels(scans, index.labels, shards, out.remark) : ClassNames{};
  for (size_t i = 0; i < scans.size(); ++i) {
    ScannedShard& scan = scans[i];
    scan.shard.first_frame = index.frames.size();
    index.frames.insert(index.frames.end(), scan.frames.begin(), scan.frames.end());
    index.shards.push_back(scan.shard);
    out.passed_over += scan.passed_over;
    for (const ScannedSample& sample : scan.samples) {
      int32_t label = written ? named.labels[index.samples.size()] : -1;
      if (index.labels == LabelKind::folder) {
        label = static_cast<int32_t>(std::lower_bound(folders.begin(), folders.end(), class_folder(sample.image, shared)) - folders.begin());
      }
      index.add({.offset = sample.offset, .hash = sample.hash, .size = sample.size, .shard = static_cast<uint32_t>(i), .label = label}, sample.image);
      if (captions) index.captions.push_back(sample.caption);
    }
    scan = {};
  }
  if (index.labels != LabelKind::none && folders_name_labels(index, folders, shared)) {
    index.classes = folders;
  } else if (!named.numbers || named.classes.empty() || named.classes.back() != std::to_string(named.classes.size() - 1)) {
    index.classes = named.classes;  // numbers that count from 0 need no names
  }
  return out;
}

}  // namespace flowrun::io
