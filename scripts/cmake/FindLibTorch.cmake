# Finds PyTorch's C++ library (Debian: libtorch-dev) for the CPU: the target LibTorch::torch, and
# LibTorch_VERSION. Debian's own TorchConfig.cmake drags in what building PyTorch itself needs.
#
# To look elsewhere: LibTorch_ROOT.

find_path(LibTorch_INCLUDE_DIR NAMES torch/csrc/api/include/torch/torch.h)
set(_torch_libraries "")
foreach(_torch_part torch torch_cpu c10)
  find_library(LibTorch_${_torch_part}_LIBRARY NAMES ${_torch_part})
  mark_as_advanced(LibTorch_${_torch_part}_LIBRARY)
  list(APPEND _torch_libraries LibTorch_${_torch_part}_LIBRARY)
endforeach()
mark_as_advanced(LibTorch_INCLUDE_DIR)

set(_torch_version "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h")
if(EXISTS "${_torch_version}")
  file(STRINGS "${_torch_version}" _torch_lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
  string(REGEX MATCHALL "[0-9]+" _torch_numbers "${_torch_lines}")
  list(JOIN _torch_numbers "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_torch_LIBRARY LibTorch_INCLUDE_DIR ${_torch_libraries}
  VERSION_VAR LibTorch_VERSION)

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::torch UNKNOWN IMPORTED)
  set_target_properties(
    LibTorch::torch
    PROPERTIES IMPORTED_LOCATION "${LibTorch_torch_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES
               "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
               INTERFACE_SYSTEM_INCLUDE_DIRECTORIES
               "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
               INTERFACE_LINK_LIBRARIES "${LibTorch_torch_cpu_LIBRARY};${LibTorch_c10_LIBRARY}")
endif()
