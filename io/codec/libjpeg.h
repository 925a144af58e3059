#pragma once

#include <csetjmp>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it
#include <span>
// jerror.h has the codes of what jpeglib.h says libjpeg can do.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "io/error.h"

// What every use of libjpeg needs. For io/jpeg*.cpp alone.

namespace flowrun::io::libjpeg {

// libjpeg reports errors by a callback that must not return. It jumps back to guarded(), over frames of libjpeg and of
// the body only: neither may hold an object with a destructor.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  const uint8_t* begin;  // of what is read
  int padding;           // bytes that were put before restart markers
  bool behind_codes;     // what was read last is a scan, not a segment
  bool keep_truncated;   // data that end too early are no error
  bool ended;            // the data ended too early
};

// Makes warnings that mean lost or guessed data errors; those that leave every pixel right are passed over: libjpeg.cpp has
// the table. No padding, nothing truncated is kept.
void set_up(ErrorManager& errors);

// Makes INFO read BYTES, which must live as long as it reads. Messages go to ERRORS.
void read_from(jpeg_decompress_struct& info, ErrorManager& errors, std::span<const uint8_t> bytes);

// Makes files of very many scans errors; PROGRESS lives as long as INFO.
void limit_scans(jpeg_decompress_struct& info, jpeg_progress_mgr& progress);

// Calls BODY; false when libjpeg failed in it, with the reason in ERRORS.
template <class Body>
bool guarded(ErrorManager& errors, const Body& body) {
  if (setjmp(errors.jump) != 0) return false;  // NOLINT(cert-err52-cpp): libjpeg has no other way
  body();
  return true;
}

// What went wrong in decoding that many bytes: an Error, or a TruncatedError.
[[noreturn]] void throw_error(const ErrorManager& errors, size_t bytes);

}  // namespace flowrun::io::libjpeg
