// Products of small matrices in scratch memory, made of one tile of registers, and what packs rows for them. Compiled with cpu_loops.h, so the
// rules there hold here.
#pragma once

#include "nodes/lib/tensor/kernels/cpu_vectors.h"

// NOLINTBEGIN(misc-definitions-in-headers): each file that includes this gives it a namespace of its own
namespace flowrun::kernels::FLOWRUN_ISA {
namespace {

/// A matrix whose element (i, j) is at[i row + j column].
template <class T>
struct Matrix {
  const T* at;
  int64_t row, column;
};

/// c [M, J vectors] = a [M, depth] b [depth, J vectors]; kAdd: added to c.
template <class T, int M, int J, bool kAdd>
inline void tile(Matrix<T> a, const T* b, int64_t b_row, int64_t depth, T* c, int64_t c_row) {
  Vector<T> sums[M][J];
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int j = 0; j < J; ++j) sums[m][j] = kAdd ? load_all(c + m * c_row + j * kLanes<T>) : Vector<T>{};
  }
  for (int64_t d = 0; d < depth; ++d) {
    Vector<T> right[J];
#pragma GCC unroll 4
    for (int j = 0; j < J; ++j) right[j] = load_all(b + d * b_row + j * kLanes<T>);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const T left = a.at[m * a.row + d * a.column];
#pragma GCC unroll 4
      for (int j = 0; j < J; ++j) sums[m][j] += left * right[j];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int j = 0; j < J; ++j) store_all(c + m * c_row + j * kLanes<T>, sums[m][j]);
  }
}

/// The last rows, fewer than M.
template <class T, int M, int J, bool kAdd>
inline void last_rows(int64_t rows, Matrix<T> a, const T* b, int64_t b_row, int64_t depth, T* c, int64_t c_row) {
  if constexpr (M > 1) {
    if (rows == M - 1) return tile<T, M - 1, J, kAdd>(a, b, b_row, depth, c, c_row);
    last_rows<T, M - 1, J, kAdd>(rows, a, b, b_row, depth, c, c_row);
  }
}

/// Rows of a tile of J vectors: as many as there are registers for.
constexpr int rows_of_tile(int vectors) {
  if (kRegisters == 32) return vectors <= 2 ? 12 : vectors == 3 ? 8 : 6;
  return vectors == 1 ? 12 : 6;
}
constexpr int kWidest = kRegisters == 32 ? 4 : 2;

template <class T, int J, bool kAdd>
void strip(int64_t rows, Matrix<T> a, const T* b, int64_t b_row, int64_t depth, T* c, int64_t c_row) {
  constexpr int M = rows_of_tile(J);
  for (; rows >= M; rows -= M, a.at += M * a.row, c += M * c_row) tile<T, M, J, kAdd>(a, b, b_row, depth, c, c_row);
  last_rows<T, M, J, kAdd>(rows, a, b, b_row, depth, c, c_row);
}

/// c [rows, columns] = a [rows, depth] b [depth, columns]; columns: whole vectors; kAdd: added to c.
template <class T, bool kAdd = false>
void product(int64_t rows, int64_t columns, Matrix<T> a, const T* b, int64_t b_row, int64_t depth, T* c, int64_t c_row) {
  int64_t vectors = columns / kLanes<T>;
  for (int64_t strips = (vectors + kWidest - 1) / kWidest; strips > 0; --strips) {
    const int64_t wide = (vectors + strips - 1) / strips;
    if (wide == 1) strip<T, 1, kAdd>(rows, a, b, b_row, depth, c, c_row);
    if (wide == 2) strip<T, 2, kAdd>(rows, a, b, b_row, depth, c, c_row);
    if constexpr (kWidest > 2) {
      if (wide == 3) strip<T, 3, kAdd>(rows, a, b, b_row, depth, c, c_row);
      if (wide == 4) strip<T, 4, kAdd>(rows, a, b, b_row, depth, c, c_row);
    }
    vectors -= wide, b += wide * kLanes<T>, c += wide * kLanes<T>;
  }
}

/// Rows of a head's width to rows of whole vectors, times `factor`.
template <class T>
void pack(const T* from, int64_t row, int64_t rows, int64_t width, T factor, T* to) {
  for (int64_t i = 0; i < rows; ++i, from += row) {
    for (int64_t e = 0; e < width; e += kLanes<T>, to += kLanes<T>) store_all(to, load_up_to(from + e, width - e) * factor);
  }
}
template <class T>
void unpack(const T* from, int64_t rows, int64_t width, T factor, T* to, int64_t row) {
  for (int64_t i = 0; i < rows; ++i, to += row) {
    for (int64_t e = 0; e < width; e += kLanes<T>, from += kLanes<T>) store_up_to(to + e, load_all(from) * factor, width - e);
  }
}

/// Rows and columns change places: each pass moves the row number's highest bit behind the column number.
template <class T>
inline void transpose(Vector<T> (&x)[kLanes<T>]) {
  constexpr int64_t n = kLanes<T>;
#pragma GCC unroll 4
  for (int64_t pass = 1; pass < n; pass *= 2) {
    Vector<T> next[n];
#pragma GCC unroll 8
    for (int64_t i = 0; i < n / 2; ++i) {
      next[2 * i] = in_turns<T, 0>(x[i], x[i + n / 2], AllLanes<T>());
      next[2 * i + 1] = in_turns<T, n / 2>(x[i], x[i + n / 2], AllLanes<T>());
    }
#pragma GCC unroll 16
    for (int64_t i = 0; i < n; ++i) x[i] = next[i];
  }
}

/// [rows, width] to [width, whole(rows)], zeros behind the rows.
template <class T>
void pack_columns(const T* from, int64_t row, int64_t rows, int64_t width, T* to) {
  constexpr int64_t n = kLanes<T>;
  const int64_t to_row = whole<T>(rows);
  for (int64_t i = 0; i < rows; i += n) {
    for (int64_t e = 0; e < width; e += n) {
      Vector<T> block[n];
#pragma GCC unroll 16
      for (int64_t k = 0; k < n; ++k) block[k] = i + k < rows ? load_up_to(from + (i + k) * row + e, width - e) : Vector<T>{};
      transpose<T>(block);
      const int64_t columns = width - e < n ? width - e : n;
      for (int64_t k = 0; k < columns; ++k) store_all(to + (e + k) * to_row + i, block[k]);
    }
  }
}

}  // namespace
}  // namespace flowrun::kernels::FLOWRUN_ISA
// NOLINTEND(misc-definitions-in-headers)
