# Files that a program carries inside itself.
#
# widthwise_find_chart_js()
#
# Sets the cache variable WIDTHWISE_CHART_JS to the minified build of Chart.js that HTML reports
# draw with.
#
# widthwise_embed_files(target header name file [name file]...)
#
# Adds <header>.cpp to the target's sources and <header>.hpp to where it looks for headers; they
# declare, in namespace widthwise, `std::string_view name();` with the bytes of each file. Both are
# written at build time, again when a file has changed.

# What runs at build time: cmake -D OUTPUT=path_without_ending -D FILES=name;file;... -P this
if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  cmake_path(GET OUTPUT FILENAME header)
  set(declarations "")
  set(definitions "")
  while(FILES)
    list(POP_FRONT FILES name file)
    file(READ "${file}" bytes HEX)
    string(LENGTH "${bytes}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REPEAT "0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..," 2 line)
    string(REGEX REPLACE "(${line})" "\\1\n    " bytes "${bytes}")
    string(APPEND declarations "\nstd::string_view ${name}();\n")
    string(APPEND definitions "\nstd::string_view ${name}() {\n"
           "  static constexpr unsigned char kBytes[] = {\n    ${bytes}0};\n"
           "  return {reinterpret_cast<const char*>(kBytes), ${size}};\n}\n")
  endwhile()
  file(WRITE "${OUTPUT}.hpp" "#pragma once\n\n#include <string_view>\n\nnamespace widthwise {\n"
       "${declarations}\n}  // namespace widthwise\n")
  file(WRITE "${OUTPUT}.cpp" "#include \"${header}.hpp\"\n\nnamespace widthwise {\n"
       "${definitions}\n}  // namespace widthwise\n")
  return()
endif()

include_guard()
set(_widthwise_embed_script "${CMAKE_CURRENT_LIST_FILE}")

function(widthwise_find_chart_js)
  find_file(
    WIDTHWISE_CHART_JS
    NAMES chart.min.js
    PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist
    NO_DEFAULT_PATH
    DOC "The minified UMD build of Chart.js 3")
  if(NOT WIDTHWISE_CHART_JS OR NOT EXISTS "${WIDTHWISE_CHART_JS}")
    message(FATAL_ERROR "chart.min.js of Chart.js was not found; Debian package: libjs-chart.js "
                        "(or configure with -DWIDTHWISE_CHART_JS=file)")
  endif()
  file(READ "${WIDTHWISE_CHART_JS}" banner LIMIT 400)
  if(NOT banner MATCHES "Chart\\.js v3\\.")
    message(FATAL_ERROR "${WIDTHWISE_CHART_JS} does not begin as Chart.js v3 does; Debian package: "
                        "libjs-chart.js")
  endif()
endfunction()

function(widthwise_embed_files target header)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/embedded/${header}")
  set(names_and_files "")
  set(files "")
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest name file)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    list(APPEND names_and_files "${name}" "${file}")
    list(APPEND files "${file}")
  endwhile()
  add_custom_command(
    OUTPUT "${output}.hpp" "${output}.cpp"
    COMMAND "${CMAKE_COMMAND}" -D "OUTPUT=${output}" -D "FILES=${names_and_files}" -P
            "${_widthwise_embed_script}"
    DEPENDS ${files} "${_widthwise_embed_script}"
    COMMENT "Embedding ${header}"
    VERBATIM)
  target_sources(${target} PRIVATE "${output}.cpp" "${output}.hpp")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/embedded")
endfunction()
