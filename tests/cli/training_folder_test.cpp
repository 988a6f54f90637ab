#include "cli/training_folder.hpp"

#include <filesystem>

#include <catch2/catch.hpp>

#include "tests/cli/temporary_folder.hpp"

using namespace widthwise;
namespace fs = std::filesystem;

namespace {

constexpr const char* kKey = "0123456789abcdef0123456789abcdef";

Given given(const std::string& path) {
  Given given;
  given.text = path;
  given.place.file = "--output";
  return given;
}

TrainResult result_of(const std::string& key) {
  TrainResult result;
  result.label = "fracbits";
  result.key = key;
  result.accuracy = 0.875;
  return result;
}

}  // namespace

TEST_CASE("files of a training are named by its label and its key") {
  const TrainingFiles files = training_files("out", "uniform w3a3/\xc3\xa9", kKey);
  CHECK(files.result == "out/uniform-w3a3----0123456789ab.json");
  CHECK(files.checkpoint == "out/uniform-w3a3----0123456789ab.checkpoint");
  CHECK(files.key == kKey);
  CHECK_FALSE(files.is_finished());
  CHECK_FALSE(files.is_begun());
}

TEST_CASE("a folder is made, and taken by one at a time") {
  const TemporaryFolder place;
  const std::string path = place.path("a/b");
  {
    const TrainingFolder folder(given(path));
    CHECK(fs::is_directory(path));
    CHECK_THROWS_WITH(TrainingFolder(given(path)),
                      "--output: error: another process trains in '" + path + "'");
  }
  CHECK_NOTHROW(TrainingFolder(given(path)));
}

TEST_CASE("a folder that can not be had is refused") {
  const TemporaryFolder place;
  place.write("file", "");
  CHECK_THROWS_WITH(TrainingFolder(given(place.path("file/folder"))),
                    Catch::Contains("--output: error: '") && Catch::Contains("cannot be made"));
  CHECK_THROWS_WITH(TrainingFolder(given(place.path("file"))),
                    Catch::Contains("--output: error: "));
  CHECK_THROWS_WITH(TrainingFolder(given("")),
                    "--output: error: expected the path of a folder, got ''");
}

TEST_CASE("a training that was begun is neither overwritten nor gone on with unasked") {
  const TemporaryFolder place;
  TrainingFolder folder(given(place.path()));
  const std::vector<TrainingFiles> files{training_files(place.path(), "fracbits", kKey),
                                         training_files(place.path(), "bmpq", kKey)};
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::begin));
  place.write(fs::path(files[1].checkpoint).filename(), "half of it");
  CHECK(files[1].is_begun());
  CHECK_THROWS_WITH(folder.prepare(files, TrainingFolder::Mode::begin),
                    files[1].checkpoint +
                        ": error: the training 'bmpq' was begun and not finished; --resume goes on "
                        "with it, --fresh starts again");
  CHECK(place.read(fs::path(files[1].checkpoint).filename()) == "half of it");
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::resume));
  CHECK(files[1].is_begun());
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::fresh));
  CHECK_FALSE(files[1].is_begun());
}

TEST_CASE("what other settings left in the folder is in nobody's way and is kept") {
  const TemporaryFolder place;
  TrainingFolder folder(given(place.path()));
  const TrainingFiles ours = training_files(place.path(), "fracbits", kKey);
  const TrainingFiles other = training_files(place.path(), "fracbits", std::string(32, 'f'));
  place.write(fs::path(other.checkpoint).filename(), "half of it");
  const std::vector<TrainingFiles> files{ours};
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::begin));
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::fresh));
  CHECK(other.is_begun());
}

TEST_CASE("a finished training is read again, unless a fresh one is asked for") {
  const TemporaryFolder place;
  TrainingFolder folder(given(place.path()));
  const std::vector<TrainingFiles> files{training_files(place.path(), "fracbits", kKey)};
  place.write(fs::path(files[0].checkpoint).filename(), "its last epoch");
  TrainingFolder::finish(files[0], result_of(kKey));
  CHECK(files[0].is_finished());
  CHECK_FALSE(fs::exists(files[0].checkpoint));
  CHECK(TrainingFolder::read(files[0]).accuracy == 0.875);
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::begin));
  CHECK(files[0].is_finished());
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::fresh));
  CHECK_FALSE(files[0].is_finished());
}

TEST_CASE("a checkpoint that outlived its training is removed") {
  const TemporaryFolder place;
  TrainingFolder folder(given(place.path()));
  const std::vector<TrainingFiles> files{training_files(place.path(), "fracbits", kKey)};
  TrainingFolder::finish(files[0], result_of(kKey));
  place.write(fs::path(files[0].checkpoint).filename(), "killed before it was removed");
  CHECK_NOTHROW(folder.prepare(files, TrainingFolder::Mode::begin));
  CHECK_FALSE(fs::exists(files[0].checkpoint));
  CHECK(files[0].is_finished());
}

TEST_CASE("a result that is damaged or another's is refused with what helps") {
  const TemporaryFolder place;
  const TrainingFiles files = training_files(place.path(), "fracbits", kKey);
  place.write(fs::path(files.result).filename(), "{");
  CHECK_THROWS_WITH(TrainingFolder::read(files),
                    Catch::Contains("is no JSON") && Catch::Contains("; --fresh trains again"));
  std::string other = kKey;
  other.back() = '0';  // the same file name
  place.write(fs::path(files.result).filename(), result_json(result_of(other)));
  CHECK_THROWS_WITH(TrainingFolder::read(files), Catch::Contains("key: expected '") &&
                                                     Catch::Contains("; --fresh trains again"));
}
