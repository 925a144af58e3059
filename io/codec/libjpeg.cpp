#include "io/codec/libjpeg.h"

#include <algorithm>
#include <string>

namespace flowrun::io::libjpeg {

namespace {

[[noreturn]] void fail(j_common_ptr info) {
  auto* const errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// Bytes that libjpeg passed over before it found MARKER.
bool are_stray_bytes(const jpeg_decompress_struct& info, const ErrorManager& errors, int count, int marker) {
  constexpr int first_restart = 0xd0, last_restart = 0xd7, end_of_image = 0xd9;
  // Bytes between two segments, and before the end when the last scan has all its blocks, are padding or another
  // program's data.
  if (marker == end_of_image || !errors.behind_codes) return true;
  if (marker >= first_restart && marker <= last_restart) return count == errors.padding;
  // Zeros after a scan's blocks are padding, too. Other bytes may be codes that were not read, because earlier codes are
  // damaged.
  const uint8_t* const end = info.src->next_input_byte;
  return count <= end - errors.begin && std::all_of(end - count, end, [](uint8_t byte) { return byte == 0; });
}

// The whole list of libjpeg's warnings (JWRN_ in jerror.h), and whether every pixel is right nevertheless: as the file's
// writer had it, and as all programs on libjpeg read it. If not, data are lost or guessed.
bool is_harmless(const jpeg_decompress_struct& info, const ErrorManager& errors) {
  const auto& number = errors.base.msg_parm.i;
  switch (errors.base.msg_code) {
    case JWRN_ADOBE_XFORM:     // three components are YCbCr and four YCCK, whatever else the marker says
    case JWRN_JFIF_MAJOR:      // nothing depends on the version
    case JWRN_BOGUS_ICC:       // colour profiles are not looked at
    case JWRN_NOT_SEQUENTIAL:  // a baseline scan has all coefficients; its header's numbers for progressive ones are not used
      return true;
    case JWRN_EXTRANEOUS_DATA:  // stray bytes, or codes that were not read
      return are_stray_bytes(info, errors, number[0], number[1]);
    case JWRN_BOGUS_PROGRESSION:  // scans in another order, or sent once more, end alike; bits of a scan that is missing are lost
      return (info.Ss > 0 && number[1] == 0) || info.Ah == 0;
    case JWRN_HIT_MARKER:      // a marker stands where blocks are missing
    case JWRN_JPEG_EOF:        // so does the end of the file
    case JWRN_HUFF_BAD_CODE:   // what follows a wrong code is guessed
    case JWRN_ARITH_BAD_CODE:  // the same
    case JWRN_MUST_RESYNC:     // restart markers are missing, and blocks with them
    case JWRN_TOO_MUCH_DATA:   // a bug of this program
    default:
      return false;
  }
}

// libjpeg's trace messages tell what it reads; they are not printed.
void note_segment(ErrorManager& errors) {
  switch (errors.base.msg_code) {
    case JTRC_SOS:
      errors.behind_codes = true;
      break;
    case JTRC_DHT:
    case JTRC_DQT:
    case JTRC_DAC:
    case JTRC_DRI:
    case JTRC_JFIF:
    case JTRC_ADOBE:
    case JTRC_APP0:
    case JTRC_APP14:
    case JTRC_MISC_MARKER:
      errors.behind_codes = false;
      break;
    default:
      break;
  }
}

// When the data end, libjpeg says so once, reads an end marker in their place and warns of what it then misses.
void on_message(j_common_ptr info, int level) {
  auto* const errors = reinterpret_cast<ErrorManager*>(info->err);
  if (level >= 0) return note_segment(*errors);
  if (errors->ended && errors->keep_truncated) return;
  if (info->is_decompressor && is_harmless(*reinterpret_cast<j_decompress_ptr>(info), *errors)) return;
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
  errors.begin = nullptr;
  errors.padding = 0;
  errors.behind_codes = false;
  errors.keep_truncated = errors.ended = false;
}

void read_from(jpeg_decompress_struct& info, ErrorManager& errors, std::span<const uint8_t> bytes) {
  errors.begin = bytes.data();
  errors.behind_codes = false;
  jpeg_mem_src(&info, bytes.data(), bytes.size());
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
