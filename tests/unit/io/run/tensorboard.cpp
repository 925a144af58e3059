#include "io/run/tensorboard.h"

#include <gmock/gmock.h>
#include <thread>
#include <vector>

#include "io/codec/png.h"
#include "io/error.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::get_file;
using test::put_file;

TEST(TensorBoard, ChecksumOfKnownBytes) {
  // RFC 3720: the CRC-32C of 32 zero bytes is 0x8a9136aa.
  const uint32_t crc = 0x8a9136aa;
  EXPECT_EQ(masked_crc32c(std::string(32, '\0')), ((crc >> 15) | (crc << 17)) + 0xa282ead8);
}

TEST(TensorBoard, PythonReadsScalarsAndImages) {
  test::require_python("tensorboard.backend.event_processing.event_accumulator");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  {
    EventWriter writer(dir / event_file_name(1700000000));
    writer.scalar("loss", 1, 0.5F, 1700000001.25);
    writer.scalar("loss", 300, -2.75F, 1700000002);
    writer.scalar("lr/\xc3\xa9", int64_t{1} << 40, 1e-30F, 1700000003);
  }
  {
    EventWriter writer(dir / event_file_name(1700000000));  // goes on after a resume
    const PixelBuffer image = test::make_image(17, 31, 3, 1);
    writer.image("views", 7, encode_png(image.view()), 17, 31, 1700000004);
    put_file(dir / "raw", std::string(image.pixels.begin(), image.pixels.end()));
  }
  test::run_python(dir.path(), R"(
import io
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator('.', size_guidance={'images': 0, 'scalars': 0})
events.Reload()
assert events.Tags()['scalars'] == ['loss', 'lr/é'], events.Tags()
assert [(e.wall_time, e.step, e.value) for e in events.Scalars('loss')] == [(1700000001.25, 1, 0.5), (1700000002, 300, -2.75)]
assert events.Scalars('lr/é')[0].step == 1 << 40
assert abs(events.Scalars('lr/é')[0].value / 1e-30 - 1) < 1e-6
image, = events.Images('views')
assert (image.step, image.height, image.width) == (7, 17, 31)
assert Image.open(io.BytesIO(image.encoded_image_string)).tobytes() == open('raw', 'rb').read()
)");
}

TEST(TensorBoard, PythonReadsHistogramsAndSessions) {
  test::require_python("tensorboard.plugins.hparams.metadata");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  EventWriter(dir / event_file_name(5)).histogram("features", 9, {-1.5, 2, 7, 3.5, 12.25, {0, 1, 2}, {2, 0, 5}}, 1700000001);
  const Session session{{{"lr", 1e-3}, {"mask", std::string("r\u00e9")}, {"flip", true}}, {{"knn/accuracy", 0.75}}, 12, 1700000002, 1700000003};
  EXPECT_TRUE(add_session(dir.path(), session));
  EXPECT_FALSE(add_session(dir.path(), session)) << "it is there already";
  test::run_python(dir.path(), R"(
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, HistogramValue
from tensorboard.plugins.hparams import metadata
events = EventAccumulator('.')
events.Reload()
event, = events.Histograms('features')
assert (event.wall_time, event.step) == (1700000001, 9)
assert event.histogram_value == HistogramValue(-1.5, 2, 7, 3.5, 12.25, [0, 1, 2], [2, 0, 5]), event
content = lambda tag: events.SummaryMetadata(tag).plugin_data.content
start = metadata.parse_session_start_info_plugin_data(content(metadata.SESSION_START_INFO_TAG))
value = {name: getattr(found, found.WhichOneof('kind')) for name, found in start.hparams.items()}
assert value == {'lr': 1e-3, 'mask': 'ré', 'flip': True}, value
assert start.start_time_secs == 1700000002
end = metadata.parse_session_end_info_plugin_data(content(metadata.SESSION_END_INFO_TAG))
assert (end.status, end.end_time_secs) == (1, 1700000003)
assert [(e.step, e.value) for e in events.Scalars('knn/accuracy')] == [(12, 0.75)]
)");
  const test::TemporaryDirectory empty;
  EXPECT_FALSE(add_session(empty.path(), session)) << "there is no event file";
}

TEST(TensorBoard, ATornRecordIsDroppedOnReopening) {
  const test::TemporaryDirectory dir;
  EventWriter(dir / "e").scalar("loss", 1, 0.5F, 1);
  const std::string whole = get_file(dir / "e");
  EventWriter(dir / "e").scalar("loss", 2, 0.5F, 1);
  const std::string two = get_file(dir / "e");
  ASSERT_GT(two.size(), whole.size());
  for (size_t size = whole.size(); size < two.size(); ++size) {
    put_file(dir / "e", two.substr(0, size));
    EventWriter(dir / "e").scalar("loss", 2, 0.5F, 1);
    ASSERT_EQ(get_file(dir / "e"), two) << size;
  }
}

TEST(TensorBoard, EventsBehindAStepAreCut) {
  const test::TemporaryDirectory dir;
  const auto write = [&](const char* name, std::initializer_list<int64_t> steps) {
    EventWriter writer(dir / name);
    for (const int64_t step : steps) writer.scalar("loss", step, 0.5F, 1);
    return get_file(dir / name);
  };
  const char* const name = "events.out.tfevents.1.flowrun";
  const std::string kept = write("expected", {0, 1, 2, int64_t{1} << 40}), all = write(name, {0, 1, 2, int64_t{1} << 40});
  EXPECT_EQ(truncate_events(dir.path(), int64_t{1} << 40), 0);
  EXPECT_EQ(get_file(dir / name), kept);
  EventWriter(dir / name).scalar("loss", (int64_t{1} << 40) + 1, 0.5F, 1);
  EventWriter(dir / name).scalar("loss", 2, 0.25F, 1);  // of a run resumed further back
  EXPECT_EQ(truncate_events(dir.path(), 2), 1);
  {
    write("three", {0, 1, 2});
    EventWriter(dir / "three").scalar("loss", 2, 0.25F, 1);
  }
  EXPECT_EQ(get_file(dir / name), get_file(dir / "three"));
  // A torn tail, a damaged record, another program's file, a file that is not an event file.
  const std::string whole = get_file(dir / name);
  put_file(dir / name, whole + whole.substr(0, 9));
  put_file(dir / "events.out.tfevents.1.host", write("foreign", {9}));
  put_file(dir / "events.out.tfevents.2.flowrun", "no events");
  EXPECT_EQ(truncate_events(dir.path(), 2), 1);
  EXPECT_EQ(get_file(dir / name), whole);
  EXPECT_EQ(get_file(dir / "events.out.tfevents.1.host"), get_file(dir / "foreign"));
  EXPECT_EQ(get_file(dir / "events.out.tfevents.2.flowrun"), "no events");
  std::string damaged = whole;
  damaged[damaged.size() - 6] ^= 1;
  put_file(dir / name, damaged);
  EXPECT_EQ(truncate_events(dir.path(), 2), 1);
  EXPECT_LT(get_file(dir / name).size(), whole.size());
  // Nothing is left but the version, which readers want.
  EXPECT_EQ(truncate_events(dir.path(), -1), 1);
  EXPECT_EQ(get_file(dir / name), write("empty", {}));
}

TEST(TensorBoard, ForeignFilesAreNotOverwritten) {
  const test::TemporaryDirectory dir;
  put_file(dir / "thesis.txt", "years of work, more than twelve bytes");
  EXPECT_THAT(test::message_of<Error>([&] { EventWriter(dir / "thesis.txt"); }), testing::HasSubstr("not an event file"));
  EXPECT_EQ(get_file(dir / "thesis.txt"), "years of work, more than twelve bytes");
}

TEST(TensorBoard, ThreadsDoNotMixRecords) {
  const test::TemporaryDirectory dir;
  {
    EventWriter writer(dir / "e");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&writer] {
        for (int i = 0; i < 100; ++i) writer.scalar("loss", i, 1.0F, 0);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const size_t before = get_file(dir / "e").size();
  const EventWriter again(dir / "e");
  EXPECT_EQ(get_file(dir / "e").size(), before) << "a record was torn";
}

}  // namespace
}  // namespace flowrun::io
