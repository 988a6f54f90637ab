// The data files that come with the program, and how a name on the command line becomes a file.
//
// They lie in the folder that $WIDTHWISE_DATA names; without it in the one that the program said
// (use_data_folder); else in share/widthwise of the installation that the program runs from; else
// in the source tree that it was built from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/base/error.hpp"

namespace widthwise {

enum class Shipped {
  accelerators,
  networks,
  assignments,
  energy,
  experiments,
  tables,
  sensitivities,
  problems,
  spaces
};

struct ShippedFolder {
  Shipped kind;
  std::string_view name;    // "accelerators", what `widthwise list` calls it
  std::string_view noun;    // "accelerator"
  std::string_view folder;  // below the data folder
};

const std::vector<ShippedFolder>& shipped_folders();

struct ShippedFile {
  std::string name;  // below its folder, without extension: "rtl/bismo_exec"
  std::string path;
};

/// The data folder; nothing if there is none. Throws InputError if $WIDTHWISE_DATA names no folder.
std::optional<std::string> data_folder();

/// For programs that are installed elsewhere than ours, such as a Python interpreter. Once, before
/// the first look-up.
void use_data_folder(std::string folder);

/// In order of their names.
std::vector<ShippedFile> shipped_files(Shipped kind);

/// A text that the user gave, and where.
struct Given {
  std::string text;
  SourcePlace place;
  std::string key;  // in a file
};

/// The path of an existing file, given as such or as a shipped name. Throws InputError, which lists
/// the shipped names and the nearest; `also` says what else would be right ("widths such as
/// 'w4a4'").
std::string find_file(Shipped kind, const Given& given, std::string_view also = "");

/// What `read` makes of a text; its mistakes are reported where the text was given.
template <class Read>
auto placed_at(const Given& given, Read read) {
  try {
    return read();
  } catch (const InputError& error) {
    std::vector<Diagnostic> diagnostics = error.diagnostics();
    for (Diagnostic& diagnostic : diagnostics) {
      diagnostic.place = given.place;
      if (!given.key.empty()) {
        diagnostic.key = given.key;
      }
    }
    throw InputError(std::move(diagnostics));
  }
}

}  // namespace widthwise
