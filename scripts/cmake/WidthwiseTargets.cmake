# The functions that the project's CMakeLists.txt files are written in.

include_guard()
include(CMakePackageConfigHelpers)

# widthwise_require(package debian_package [VERSION v] [CONFIG] [OPTION option])
#
# find_package() that says which Debian package is missing, and which option, if any, does without.
macro(widthwise_require package debian_package)
  cmake_parse_arguments(_require "CONFIG" "VERSION;OPTION" "" ${ARGN})
  set(_require_mode "")
  if(_require_CONFIG)
    set(_require_mode CONFIG)
  endif()
  find_package(${package} ${_require_VERSION} ${_require_mode} QUIET)
  if(NOT ${package}_FOUND)
    set(_require_text "${package} ${_require_VERSION} was not found; Debian package: ${debian_package}")
    if(_require_OPTION)
      string(APPEND _require_text " (or configure with -D${_require_OPTION}=OFF)")
    endif()
    message(FATAL_ERROR "${_require_text}")
  endif()
endmacro()

# The language and the warnings of all our targets.
function(widthwise_compile_settings target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(
    ${target}
    PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
            # GCC 12 warns of overlaps in std::string's own operator+ (GCC bug 105329).
            $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
            $<$<BOOL:${WIDTHWISE_WARNINGS_AS_ERRORS}>:-Werror>)
endfunction()

# widthwise_library(name sources...): the static library widthwise_<name>, alias Widthwise::<name>,
# installed with the headers of the current directory.
function(widthwise_library name)
  set(target widthwise_${name})
  add_library(${target} STATIC ${ARGN})
  add_library(Widthwise::${name} ALIAS ${target})
  widthwise_compile_settings(${target})
  target_include_directories(
    ${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>"
                     "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/widthwise>")
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${target} EXPORT WidthwiseTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")

  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}"
             OUTPUT_VARIABLE directory)
  install(
    DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/widthwise/${directory}"
    FILES_MATCHING PATTERN "*.hpp")
endfunction()

# What find_package(Widthwise) reads, and the data files that come with the program.
function(widthwise_install_package)
  set(destination "${CMAKE_INSTALL_LIBDIR}/cmake/Widthwise")
  configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/scripts/cmake/WidthwiseConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/WidthwiseConfig.cmake" INSTALL_DESTINATION "${destination}")
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/WidthwiseConfigVersion.cmake"
                                   COMPATIBILITY SameMinorVersion)
  install(
    FILES "${PROJECT_BINARY_DIR}/WidthwiseConfig.cmake"
          "${PROJECT_BINARY_DIR}/WidthwiseConfigVersion.cmake"
          "${PROJECT_SOURCE_DIR}/scripts/cmake/FindSystemC.cmake"
          "${PROJECT_SOURCE_DIR}/scripts/cmake/FindCbc.cmake"
          "${PROJECT_SOURCE_DIR}/scripts/cmake/FindLibTorch.cmake"
          "${PROJECT_SOURCE_DIR}/scripts/cmake/FindOnnx.cmake"
    DESTINATION "${destination}")
  install(EXPORT WidthwiseTargets NAMESPACE Widthwise:: DESTINATION "${destination}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/configs" "${PROJECT_SOURCE_DIR}/workloads"
          DESTINATION "${CMAKE_INSTALL_DATADIR}/widthwise")
endfunction()
