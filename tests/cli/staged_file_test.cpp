#include "cli/staged_file.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace widthwise;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "staged_file_test.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] std::ptrdiff_t entries() const {
    return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
  }

 private:
  fs::path path_;
};

std::string content(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

StagedFile staged(const std::string& target) { return {target, {"--json"}, ""}; }

std::string refusal(const std::string& target) {
  try {
    staged(target);
    return "accepted";
  } catch (const InputError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a staged file takes its name when it is committed") {
  const Folder folder;
  const std::string target = folder.file("out.json");
  StagedFile file = staged(target);
  file.write("new");
  CHECK_FALSE(fs::exists(target));
  file.commit();
  CHECK(content(target) == "new");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a staged file that is not committed leaves the old one as it was") {
  const Folder folder;
  const std::string target = folder.file("out.json");
  std::ofstream(target) << "old";
  {
    StagedFile file = staged(target);
    file.write("half of the ne");
  }
  CHECK(content(target) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a staged file replaces the old one and keeps its permissions") {
  const Folder folder;
  const std::string target = folder.file("out.json");
  std::ofstream(target) << "a longer old content";
  fs::permissions(target, fs::perms(0640));
  StagedFile file = staged(target);
  file.write("first");
  file.write("new");
  file.commit();
  CHECK(content(target) == "new");
  CHECK(fs::status(target).permissions() == fs::perms(0640));
}

TEST_CASE("the name of a staged file ends as its target's does") {
  const Folder folder;
  CHECK(staged(folder.file("wave.vcd")).path().ends_with(".vcd"));
}

TEST_CASE("a staged file behind a link replaces what the link points to") {
  const Folder folder;
  std::ofstream(folder.file("real.json")) << "old";
  fs::create_symlink("real.json", folder.file("link.json"));
  StagedFile file = staged(folder.file("link.json"));
  file.write("new");
  file.commit();
  CHECK(fs::is_symlink(folder.file("link.json")));
  CHECK(content(folder.file("real.json")) == "new");
}

TEST_CASE("what cannot be written is refused before anything is") {
  const Folder folder;
  CHECK(refusal("") == "--json: error: expected the path of a file, got ''");
  CHECK(refusal(folder.file("")) ==
        "--json: error: cannot write '" + folder.file("") + "': Is a directory");
  CHECK(refusal(folder.file("none/out.json")) == "--json: error: cannot write '" +
                                                     folder.file("none/out.json") +
                                                     "': No such file or directory");
  CHECK(folder.entries() == 0);
}

TEST_CASE("a device is written directly") {
  StagedFile file = staged("/dev/null");
  file.write("content");
  file.commit();
  CHECK(fs::is_character_file("/dev/null"));
}
