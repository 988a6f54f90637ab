# Finds the ONNX message types, <onnx/onnx_pb.h>: the target Onnx::proto (the messages, enough to
# read a ModelProto) and Onnx::onnx (adds ONNX's own operator schemas, checker and shape inference).
#
# The library's headers expand ONNX_NAMESPACE and choose onnx-ml.pb.h by ONNX_ML. Both have to be as
# in the library's own build; the targets define them as Debian, and all common builds, do.
#
# To look elsewhere: Onnx_ROOT.

find_path(Onnx_INCLUDE_DIR NAMES onnx/onnx_pb.h)
find_library(Onnx_LIBRARY NAMES onnx)
find_library(Onnx_PROTO_LIBRARY NAMES onnx_proto)
find_package(Protobuf QUIET)
mark_as_advanced(Onnx_INCLUDE_DIR Onnx_LIBRARY Onnx_PROTO_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Onnx REQUIRED_VARS Onnx_LIBRARY Onnx_PROTO_LIBRARY Onnx_INCLUDE_DIR Protobuf_FOUND)

if(Onnx_FOUND AND NOT TARGET Onnx::proto)
  add_library(Onnx::proto UNKNOWN IMPORTED)
  set_target_properties(
    Onnx::proto
    PROPERTIES IMPORTED_LOCATION "${Onnx_PROTO_LIBRARY}"
               INTERFACE_INCLUDE_DIRECTORIES "${Onnx_INCLUDE_DIR}"
               INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${Onnx_INCLUDE_DIR}"
               INTERFACE_COMPILE_DEFINITIONS "ONNX_NAMESPACE=onnx;ONNX_ML=1"
               INTERFACE_LINK_LIBRARIES protobuf::libprotobuf)
  add_library(Onnx::onnx UNKNOWN IMPORTED)
  set_target_properties(Onnx::onnx PROPERTIES IMPORTED_LOCATION "${Onnx_LIBRARY}"
                                              INTERFACE_LINK_LIBRARIES Onnx::proto)
endif()
