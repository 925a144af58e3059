#include "io/libjpeg.h"

#include <string>

namespace flowrun::io::libjpeg {

namespace {

[[noreturn]] void fail(j_common_ptr info) {
  auto* const errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// Whether libjpeg's warning leaves every pixel right. Bytes between the last scan and the end marker are common in
// real data sets and harmless; the others mean lost or guessed data.
bool is_harmless(const ErrorManager& errors) {
  constexpr int end_of_image = 0xd9;
  const jpeg_error_mgr& error = errors.base;
  if (error.msg_code == JWRN_EXTRANEOUS_DATA) return error.msg_parm.i[1] == end_of_image || error.msg_parm.i[0] == errors.padding;
  return error.msg_code == JWRN_JFIF_MAJOR || error.msg_code == JWRN_BOGUS_ICC;
}

// When the data end, libjpeg says so once, reads an end marker in their place and warns of what it then misses.
void on_message(j_common_ptr info, int level) {
  auto* const errors = reinterpret_cast<ErrorManager*>(info->err);
  if (level >= 0 || is_harmless(*errors)) return;
  if (info->err->msg_code == JWRN_JPEG_EOF) errors->ended = true;
  if (!errors->ended || !errors->keep_truncated) fail(info);
}

void ignore_output(j_common_ptr) {}

void check_scans(j_common_ptr info) {
  // A crafted file of many scans over a large image would decode for hours; real encoders write about ten.
  constexpr int most_scans = 500;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > most_scans) ERREXIT(info, JERR_BAD_PROGRESSION);
}

}  // namespace

void set_up(ErrorManager& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = fail;
  errors.base.emit_message = on_message;
  errors.base.output_message = ignore_output;
  errors.message[0] = '\0';
  errors.padding = 0;
  errors.keep_truncated = errors.ended = false;
}

void limit_scans(jpeg_decompress_struct& info, jpeg_progress_mgr& progress) {
  progress.progress_monitor = check_scans;
  info.progress = &progress;
}

void throw_error(const ErrorManager& errors, size_t bytes) {
  const std::string text = "broken JPEG of " + std::to_string(bytes) + " bytes: ";
  if (errors.ended || errors.base.msg_code == JERR_INPUT_EOF) throw TruncatedError(text + "truncated: " + errors.message);
  throw Error(text + errors.message);
}

}  // namespace flowrun::io::libjpeg
