# Finds the COIN-OR branch and cut solver with all that its C++ interface needs (Clp, Osi, CoinUtils,
# Cgl): the target Cbc::cbc, and Cbc_VERSION.
#
# To look elsewhere: Cbc_ROOT.

find_path(Cbc_INCLUDE_DIR NAMES CbcModel.hpp PATH_SUFFIXES coin coin-or)
set(_cbc_libraries "")
foreach(_cbc_part CbcSolver Cbc Cgl OsiClp ClpSolver Clp Osi CoinUtils)
  find_library(Cbc_${_cbc_part}_LIBRARY NAMES ${_cbc_part})
  mark_as_advanced(Cbc_${_cbc_part}_LIBRARY)
  list(APPEND _cbc_libraries Cbc_${_cbc_part}_LIBRARY)
endforeach()
mark_as_advanced(Cbc_INCLUDE_DIR)

if(Cbc_INCLUDE_DIR AND EXISTS "${Cbc_INCLUDE_DIR}/CbcConfig.h")
  file(STRINGS "${Cbc_INCLUDE_DIR}/CbcConfig.h" _cbc_version REGEX "#define +CBC_VERSION +\"")
  string(REGEX REPLACE ".*\"([^\"]*)\".*" "\\1" Cbc_VERSION "${_cbc_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Cbc
  REQUIRED_VARS Cbc_CbcSolver_LIBRARY Cbc_INCLUDE_DIR ${_cbc_libraries}
  VERSION_VAR Cbc_VERSION)

if(Cbc_FOUND AND NOT TARGET Cbc::cbc)
  set(_cbc_others "")
  foreach(_cbc_part IN LISTS _cbc_libraries)
    if(NOT _cbc_part STREQUAL "Cbc_CbcSolver_LIBRARY")
      list(APPEND _cbc_others "${${_cbc_part}}")
    endif()
  endforeach()
  add_library(Cbc::cbc UNKNOWN IMPORTED)
  set_target_properties(
    Cbc::cbc
    PROPERTIES IMPORTED_LOCATION "${Cbc_CbcSolver_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES "${Cbc_INCLUDE_DIR}"
               INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${Cbc_INCLUDE_DIR}"
               INTERFACE_LINK_LIBRARIES "${_cbc_others}")
endif()
