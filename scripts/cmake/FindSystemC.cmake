# Finds Accellera SystemC with TLM-2.0: the target SystemC::systemc, and SystemC_VERSION.
#
# A program built with another C++ standard than the library's fails to link, on purpose, at a symbol
# such as sc_api_version_2_3_4_cxx201703L. The standard stands in that symbol's name; the target
# passes it on as SC_CPLUSPLUS, so that C++20 programs link with a library built as C++17 (Debian's).
# This is sound because the headers only choose between equivalent spellings by it.
#
# The shared library calls sc_main(), so each program has to define it, even if it never runs.
#
# To look elsewhere: SystemC_ROOT.

find_path(SystemC_INCLUDE_DIR NAMES systemc tlm)
find_library(SystemC_LIBRARY NAMES systemc PATH_SUFFIXES lib-linux64)
mark_as_advanced(SystemC_INCLUDE_DIR SystemC_LIBRARY)

if(SystemC_INCLUDE_DIR AND EXISTS "${SystemC_INCLUDE_DIR}/sysc/kernel/sc_ver.h")
  file(STRINGS "${SystemC_INCLUDE_DIR}/sysc/kernel/sc_ver.h" _systemc_version
       REGEX "#define +SC_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
  list(TRANSFORM _systemc_version REPLACE "[^0-9]*([0-9]+).*" "\\1")
  list(JOIN _systemc_version "." SystemC_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  SystemC
  REQUIRED_VARS SystemC_LIBRARY SystemC_INCLUDE_DIR
  VERSION_VAR SystemC_VERSION)

if(SystemC_FOUND AND NOT TARGET SystemC::systemc)
  set(_systemc_cplusplus 201703)
  file(STRINGS "${SystemC_LIBRARY}" _systemc_symbols LIMIT_COUNT 1
       REGEX "sc_api_version_[0-9_]+_cxx[0-9]+L")
  if(_systemc_symbols MATCHES "_cxx([0-9]+)L")
    set(_systemc_cplusplus "${CMAKE_MATCH_1}")
  endif()
  add_library(SystemC::systemc UNKNOWN IMPORTED)
  set_target_properties(
    SystemC::systemc
    PROPERTIES IMPORTED_LOCATION "${SystemC_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES "${SystemC_INCLUDE_DIR}"
               INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${SystemC_INCLUDE_DIR}"
               INTERFACE_COMPILE_DEFINITIONS
               "SC_CPLUSPLUS=${_systemc_cplusplus}L;SC_INCLUDE_DYNAMIC_PROCESSES")
endif()
