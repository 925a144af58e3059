#include "nodes/lib/host/source/folder_remarks.h"

#include <algorithm>
#include <array>

#include "graph/contract/context.h"
#include "io/codec/image_format.h"

namespace flowrun::source {
namespace {

/// Names of files that are usual beside pictures: warnings don't count them.
bool is_expected(const std::string& extension) {
  static constexpr std::array expected = {".txt", ".json", ".jsonl", ".csv", ".tsv",  ".md", ".xml", ".yaml", ".yml", ".db",
                                          ".ini", ".log",  ".html",  ".py",  ".toml", ".sh", ".pdf", ".mat",  ".rst"};
  return std::any_of(expected.begin(), expected.end(), [&](const char* known) { return extension == known; });
}

std::string joined(const std::vector<std::string>& names) {
  constexpr size_t most = 6;
  std::string out;
  for (size_t i = 0; i < std::min(most, names.size()); ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > most ? out + " and " + std::to_string(names.size() - most) + " more" : out;
}

/// "7 files: 4 .bmp, 2 .heic, 1 without extension"
std::string counted(const std::map<std::string, uint64_t>& files) {
  uint64_t sum = 0;
  std::vector<std::pair<uint64_t, std::string>> kinds;
  for (const auto& [extension, count] : files) sum += count, kinds.emplace_back(count, extension.empty() ? "without extension" : extension);
  std::stable_sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> texts;
  for (const auto& [count, kind] : kinds) texts.push_back(std::to_string(count) + " " + kind);
  return std::to_string(sum) + (sum == 1 ? " file: " : " files: ") + joined(texts);
}

}  // namespace

std::string one_class_remark(const std::string& place, const std::string& name) {
  return place + " has one class, " + name + ": every answer is right, so an accuracy says nothing";
}

std::vector<std::string> remarks(const io::ImageFolder& folder, bool labels_read) {
  std::vector<std::string> out;
  const std::string root = folder.root.string();
  if (!folder.passed_over.empty()) {
    const std::string text = root + ": took " + std::to_string(folder.files.size()) + " pictures and passed over " + counted(folder.passed_over) +
                             " (" + folder.first_passed_over + " for one)";
    const bool expected = std::all_of(folder.passed_over.begin(), folder.passed_over.end(), [](const auto& kind) { return is_expected(kind.first); });
    expected ? log_info(text) : out.push_back(text + "; pictures are " + io::image_extensions());
  }
  if (!folder.tool_folders.empty()) log_info(root + ": passed over folders that programs make: " + joined(folder.tool_folders));
  if (!labels_read) return out;
  if (!folder.around.empty()) {
    out.push_back(root + " has one class folder, " + folder.around + ", which holds the folders " + joined(folder.nested) +
                  ": these are taken for the classes. If so, let path be " + (folder.root / folder.around).string());
  } else if (folder.classes.size() == 1) {
    out.push_back(one_class_remark(root, folder.classes[0]));
  }
  for (const auto& [path, classes] : folder.shared) {
    out.push_back(root + ": the pictures of " + path + " have two classes, " + classes + ", since links lead to them from both");
  }
  return out;
}

}  // namespace flowrun::source
