#include "models/config/shipped_data.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "models/base/text.hpp"

namespace widthwise {

namespace fs = std::filesystem;

namespace {

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool has_data_extension(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".onnx" || extension == ".csv";
}

/// Problems and tables are no networks, though they lie among them.
bool is_elsewhere(Shipped kind, const fs::path& relative) {
  const fs::path first = *relative.begin();
  return kind == Shipped::networks &&
         (first == "problems" || first == "tables" || first == "sensitivities");
}

std::string& said_folder() {
  static std::string folder;
  return folder;
}

std::vector<std::string> names_of(const std::vector<ShippedFile>& files) {
  std::vector<std::string> names;
  for (const ShippedFile& file : files) {
    names.push_back(file.name);
  }
  return names;
}

const ShippedFolder& folder_of(Shipped kind) {
  const auto& folders = shipped_folders();
  const auto found = std::find_if(folders.begin(), folders.end(),
                                  [&](const ShippedFolder& row) { return row.kind == kind; });
  ensure(found != folders.end(), "every kind of shipped file has a folder");
  return *found;
}

}  // namespace

const std::vector<ShippedFolder>& shipped_folders() {
  static const std::vector<ShippedFolder> folders{
      {Shipped::accelerators, "accelerators", "accelerator", "configs/accelerators"},
      {Shipped::networks, "networks", "network", "workloads"},
      {Shipped::assignments, "assignments", "assignment", "configs/assignments"},
      {Shipped::energy, "energy", "energy table", "configs/energy"},
      {Shipped::experiments, "experiments", "experiment", "configs/experiments"},
      {Shipped::tables, "tables", "cost table", "workloads/tables"},
      {Shipped::sensitivities, "sensitivities", "table of losses", "workloads/sensitivities"},
      {Shipped::problems, "problems", "problem", "workloads/problems"},
      {Shipped::spaces, "spaces", "design space", "configs/spaces"},
  };
  return folders;
}

std::optional<std::string> data_folder() {
  if (const char* given = std::getenv("WIDTHWISE_DATA"); given != nullptr && *given != '\0') {
    if (!is_folder(given)) {
      throw InputError({"WIDTHWISE_DATA"}, "",
                       "expected a folder, got '" + std::string(given) + "'");
    }
    return given;
  }
  if (!said_folder().empty()) {
    return said_folder();
  }
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    const fs::path installed =
        (program.parent_path() / WIDTHWISE_DATA_FROM_PROGRAM).lexically_normal();
    if (is_folder(installed)) {
      return installed.string();
    }
  }
  if (is_folder(fs::path(WIDTHWISE_SOURCE_DIR) / "configs")) {
    return WIDTHWISE_SOURCE_DIR;
  }
  return std::nullopt;
}

void use_data_folder(std::string folder) { said_folder() = std::move(folder); }

std::vector<ShippedFile> shipped_files(Shipped kind) {
  std::vector<ShippedFile> files;
  const auto root = data_folder();
  if (!root) {
    return files;
  }
  const fs::path folder = fs::path(*root) / folder_of(kind).folder;
  std::error_code failed;
  for (fs::recursive_directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const fs::path relative = entry->path().lexically_relative(folder);
    std::error_code unreadable;
    if (entry->is_regular_file(unreadable) && has_data_extension(relative) &&
        !is_elsewhere(kind, relative)) {
      fs::path name = relative;
      files.push_back({name.replace_extension().generic_string(), entry->path().string()});
    }
  }
  std::sort(files.begin(), files.end(), [](const ShippedFile& a, const ShippedFile& b) {
    return std::tie(a.name, a.path) < std::tie(b.name, b.path);
  });
  return files;
}

std::string find_file(Shipped kind, const Given& given, std::string_view also) {
  std::error_code ignored;
  if (is_folder(given.text)) {
    throw InputError(given.place, given.key, fmt::format("'{}' is a folder", given.text));
  }
  if (fs::exists(given.text, ignored)) {
    return given.text;
  }
  const std::vector<ShippedFile> files = shipped_files(kind);
  const auto found = std::find_if(files.begin(), files.end(), [&](const ShippedFile& file) {
    return file.name == given.text ||
           file.name + fs::path(file.path).extension().string() == given.text;
  });
  if (found != files.end()) {
    return found->path;
  }

  const std::string_view noun = folder_of(kind).noun;
  std::vector<std::string> names = names_of(files);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string message = fmt::format("'{}' is no file", given.text);
  message += also.empty() ? fmt::format(" and no shipped {}", noun)
                          : fmt::format(", no shipped {} and {}", noun, also);
  message += names.empty() ? fmt::format("; no {} is shipped with this program", noun)
                           : fmt::format("; shipped: {}{}", quoted_list(names),
                                         suggestion(given.text, names));
  throw InputError(given.place, given.key, message);
}

}  // namespace widthwise
