// A folder that one process at a time works in.
#pragma once

#include <string>

#include "models/config/shipped_data.hpp"

namespace widthwise {

class FolderLock {
 public:
  /// Makes the folder if it is not there. Throws InputError at its place: it can not be made or
  /// written to, or another process works in it ("trains", "sweeps").
  FolderLock(const Given& folder, const std::string& works);
  ~FolderLock();  // lets others in
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace widthwise
