#pragma once

#include <csetjmp>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it
#include <span>
// jerror.h, which has the codes of libjpeg's messages, needs jpeglib.h before it.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "io/error.h"

// Shared by all uses of libjpeg. For io/codec/jpeg*.cpp only.

namespace flowrun::io::libjpeg {

// libjpeg reports errors by a callback that must not return. It jumps back to guarded(), over frames of libjpeg and of
// the body only: neither may hold an object with a destructor.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  const uint8_t* begin;  // of what is read
  int padding;           // bytes that were put before restart markers
  bool behind_codes;     // the last thing read is a scan, not a segment
  bool keep_truncated;   // data that end too early are no error
  bool ended;            // the data ended too early
};

// Turns warnings of lost or guessed data into errors, and ignores those that leave every pixel right: libjpeg.cpp has the
// table. By default no padding is expected, and truncated data are an error.
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

// Throws the fault of decoding that many bytes: an Error, or a TruncatedError.
[[noreturn]] void throw_error(const ErrorManager& errors, size_t bytes);

}  // namespace flowrun::io::libjpeg
