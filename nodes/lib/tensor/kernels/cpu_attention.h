// Attention head by head, for cpu_loops.h: compiled with it, so the rules there hold here. A head's numbers are packed into scratch memory in
// whole vectors. Scores are never kept: the backward pass takes them again.
#pragma once

#include "nodes/lib/tensor/kernels/backend.h"
#include "nodes/lib/tensor/kernels/cpu_products.h"

// NOLINTBEGIN(misc-definitions-in-headers): each file that includes this gives it a namespace of its own
namespace flowrun::kernels::FLOWRUN_ISA {
namespace {

/// Queries that are worked on at a time: their scores stay in the nearest cache.
constexpr int64_t kQueries = 24;

/// Scores to e^(score - largest), in place, zeros behind the keys; largest, and one over the sum.
template <class T>
inline void exponentials(T* scores, int64_t keys, T& largest, T& inverse) {
  const int64_t columns = whole<T>(keys), last = columns - kLanes<T>;
  const auto inside = lane_numbers<T>() < static_cast<Integer<T>>(keys - last);
  const Vector<T> end = load_all(scores + last);
  Vector<T> most = inside ? end : Vector<T>{} - static_cast<T>(__builtin_huge_val());
  for (int64_t j = 0; j < last; j += kLanes<T>) {
    const Vector<T> x = load_all(scores + j);
    most = most > x ? most : x;
  }
  largest = largest_of<T>(most);
  Vector<T> sums = {};
  for (int64_t j = 0; j < last; j += kLanes<T>) {
    const Vector<T> e = exponential(load_all(scores + j) - largest);
    store_all(scores + j, e);
    sums += e;
  }
  const Vector<T> e = inside ? exponential(end - largest) : Vector<T>{};
  store_all(scores + last, e);
  inverse = 1 / sum_of<T>(sums + e);
}

template <class T>
const T* rows_at(const HeadRows& rows, int64_t sequence, int64_t head) {
  return static_cast<const T*>(rows.at) + sequence * rows.sequence + head * rows.head;
}
template <class T>
T* rows_at(const WrittenHeadRows& rows, int64_t sequence, int64_t head) {
  return static_cast<T*>(rows.at) + sequence * rows.sequence + head * rows.head;
}

/// Where a head's packed numbers lie in scratch memory, each part at a multiple of a vector.
template <class T>
struct Scratch {
  explicit Scratch(const Attention& a, void* memory) : wide(whole<T>(a.width)), columns(whole<T>(a.keys)) {
    const auto place = reinterpret_cast<uintptr_t>(memory);
    next_ = static_cast<T*>(memory) + ((kVectorBytes - place % kVectorBytes) % kVectorBytes) / sizeof(T);
  }
  T* part(int64_t rows, int64_t row) {
    T* const at = next_;
    next_ += rows * row;
    return at;
  }

  int64_t wide, columns;  ///< numbers of a packed row of a head, and of a row of scores

 private:
  T* next_;
};

template <class T>
int64_t scratch_of(const Attention& a, bool backward) {
  const int64_t wide = whole<T>(a.width), columns = whole<T>(a.keys);
  const int64_t forward = a.width * columns + a.keys * wide + kQueries * (2 * wide + columns);
  const int64_t more = backward ? a.width * columns + 2 * a.keys * wide + kQueries * (wide + columns) : 0;
  return (forward + more) * static_cast<int64_t>(sizeof(T)) + kVectorBytes;
}

template <class T>
void attention_of(const Attention& a, int64_t begin, int64_t end, void* scratch) {
  Scratch<T> room(a, scratch);
  const int64_t wide = room.wide, columns = room.columns;
  T *const keys = room.part(a.width, columns), *const values = room.part(a.keys, wide), *const queries = room.part(kQueries, wide),
           *const scores = room.part(kQueries, columns), *const sums = room.part(kQueries, wide);
  for (int64_t head = begin; head < end; ++head) {
    const int64_t s = head / a.heads, h = head % a.heads;
    pack_columns(rows_at<T>(a.key, s, h), a.key.row, a.keys, a.width, keys);
    pack(rows_at<T>(a.value, s, h), a.value.row, a.keys, a.width, T{1}, values);
    T *largest = static_cast<T*>(a.statistics) + head * 2 * a.queries, *inverse = largest + a.queries;
    for (int64_t first = 0; first < a.queries; first += kQueries) {
      const int64_t count = a.queries - first < kQueries ? a.queries - first : kQueries;
      pack(rows_at<T>(a.query, s, h) + first * a.query.row, a.query.row, count, a.width, static_cast<T>(a.scale), queries);
      product<T>(count, columns, {queries, wide, 1}, keys, columns, a.width, scores, columns);
      for (int64_t i = 0; i < count; ++i) exponentials(scores + i * columns, a.keys, largest[first + i], inverse[first + i]);
      product<T>(count, wide, {scores, columns, 1}, values, wide, a.keys, sums, wide);
      T* out = rows_at<T>(a.out, s, h) + first * a.out.row;
      for (int64_t i = 0; i < count; ++i) unpack(sums + i * wide, 1, a.width, inverse[first + i], out + i * a.out.row, a.out.row);
    }
  }
}

/// Shares of the keys, from scores and the forward pass's statistics.
template <class T>
inline void shares(T* scores, int64_t keys, T largest, T inverse) {
  const int64_t columns = whole<T>(keys), last = columns - kLanes<T>;
  for (int64_t j = 0; j < columns; j += kLanes<T>) store_all(scores + j, exponential(load_all(scores + j) - largest) * inverse);
  const auto inside = lane_numbers<T>() < static_cast<Integer<T>>(keys - last);
  store_all(scores + last, inside ? load_all(scores + last) : Vector<T>{});
}

/// The shares' gradient to that of the scores, in place: share (gradient - sum of share gradient).
template <class T>
inline void softmax_gradient(const T* share, T* gradient, int64_t columns) {
  Vector<T> sums = {};
  for (int64_t j = 0; j < columns; j += kLanes<T>) sums += load_all(share + j) * load_all(gradient + j);
  const T sum = sum_of<T>(sums);
  for (int64_t j = 0; j < columns; j += kLanes<T>) store_all(gradient + j, load_all(share + j) * (load_all(gradient + j) - sum));
}

template <class T>
void attention_backward_of(const AttentionBackward& b, int64_t begin, int64_t end, void* scratch) {
  const Attention& a = b.forward;
  Scratch<T> room(a, scratch);
  const int64_t wide = room.wide, columns = room.columns;
  T *const key_columns = room.part(a.width, columns), *const value_columns = room.part(a.width, columns), *const keys = room.part(a.keys, wide),
           *const of_keys = room.part(a.keys, wide), *const of_values = room.part(a.keys, wide), *const queries = room.part(kQueries, wide),
           *const gradients = room.part(kQueries, wide), *const of_queries = room.part(kQueries, wide), *const share = room.part(kQueries, columns),
           *const slope = room.part(kQueries, columns);
  const T scale = static_cast<T>(a.scale);
  for (int64_t head = begin; head < end; ++head) {
    const int64_t s = head / a.heads, h = head % a.heads;
    pack_columns(rows_at<T>(a.key, s, h), a.key.row, a.keys, a.width, key_columns);
    pack_columns(rows_at<T>(a.value, s, h), a.value.row, a.keys, a.width, value_columns);
    pack(rows_at<T>(a.key, s, h), a.key.row, a.keys, a.width, T{1}, keys);
    for (int64_t i = 0; i < a.keys * wide; ++i) of_keys[i] = of_values[i] = 0;
    const T *largest = static_cast<const T*>(a.statistics) + head * 2 * a.queries, *inverse = largest + a.queries;
    for (int64_t first = 0; first < a.queries; first += kQueries) {
      const int64_t count = a.queries - first < kQueries ? a.queries - first : kQueries;
      pack(rows_at<T>(a.query, s, h) + first * a.query.row, a.query.row, count, a.width, scale, queries);
      pack(rows_at<T>(b.out_gradient, s, h) + first * b.out_gradient.row, b.out_gradient.row, count, a.width, T{1}, gradients);
      product<T>(count, columns, {queries, wide, 1}, key_columns, columns, a.width, share, columns);
      product<T>(count, columns, {gradients, wide, 1}, value_columns, columns, a.width, slope, columns);
      for (int64_t i = 0; i < count; ++i) {
        shares(share + i * columns, a.keys, largest[first + i], inverse[first + i]);
        softmax_gradient(share + i * columns, slope + i * columns, columns);
      }
      product<T>(count, wide, {slope, columns, 1}, keys, wide, a.keys, of_queries, wide);
      product<T, true>(a.keys, wide, {slope, 1, columns}, queries, wide, count, of_keys, wide);
      product<T, true>(a.keys, wide, {share, 1, columns}, gradients, wide, count, of_values, wide);
      unpack(of_queries, count, a.width, scale, rows_at<T>(b.query, s, h) + first * b.query.row, b.query.row);
    }
    unpack(of_keys, a.keys, a.width, T{1}, rows_at<T>(b.key, s, h), b.key.row);
    unpack(of_values, a.keys, a.width, T{1}, rows_at<T>(b.value, s, h), b.value.row);
  }
}

}  // namespace
}  // namespace flowrun::kernels::FLOWRUN_ISA
// NOLINTEND(misc-definitions-in-headers)
