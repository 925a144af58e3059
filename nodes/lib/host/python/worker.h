// A process that runs the nodes of one file of Python, and the memory that it shares with this one.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "nodes/lib/host/python/value.h"

namespace flowrun::python {

/// A node of an opened pipeline, as workers know it.
struct Instance {
  int64_t number;  // unique in this process
  std::string type;
  nlohmann::json params;
};

/// Which item a node works on: the address of its random numbers.
struct Address {
  uint64_t seed, stream, epoch, item, position;
};

/// Memory of two processes.
class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  /// Makes it at least so large. What was in it stays; its address may change.
  void grow(size_t bytes);
  int file() const { return file_; }
  uint8_t* at(size_t offset) const { return address_ + offset; }
  size_t size() const { return size_; }

 private:
  int file_ = -1;
  uint8_t* address_ = nullptr;
  size_t size_ = 0;
};

/// A started process, and the socket to it. It ends when the socket is closed.
class Process {
 public:
  /// Runs the file; `memory` is open in it.
  Process(const std::string& file, int memory);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  /// False: the process has ended.
  bool send(const void* data, size_t size) const;
  bool receive(void* data, size_t size) const;
  /// Waits for its end: "ended with status 1".
  std::string wait();

 private:
  int socket_ = -1, process_ = -1;
};

/// The process of a file. One thread at a time. Throws FatalNodeError when the process has ended, or the file's code failed; NodeError for a
/// sample that the code calls bad.
class Worker {
 public:
  /// Starts the process, which runs the file.
  explicit Worker(const std::string& file);

  /// The process's answer to its file: {"nodes": […]}, as read_descriptions() takes it.
  const nlohmann::json& description() const { return description_; }
  bool has(const Instance& instance) const { return open_.contains(instance.number); }
  /// Opens a node, and forgets those that are not in `alive`. Returns what the node says of itself (of a source: its size).
  nlohmann::json open(const Instance& instance, const std::set<int64_t>& alive);
  /// Runs the node. The result lies in the worker's memory until the next call.
  std::vector<Array> call(const Instance& instance, const Address& address, const std::vector<Array>& inputs);
  /// The process can't go on.
  bool ended() const { return ended_; }

 private:
  nlohmann::json ask(uint32_t kind, const std::string& text);
  void put(const std::vector<Array>& inputs);
  std::vector<Array> outputs();
  [[noreturn]] void fail_ended();

  std::string file_;
  SharedMemory memory_;
  Process process_;
  bool ended_ = false;
  nlohmann::json description_;
  std::set<int64_t> open_;
};

}  // namespace flowrun::python
