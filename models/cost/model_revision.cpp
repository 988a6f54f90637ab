#include "model_revision.inc"  // made by scripts/cmake/ModelRevision.cmake

#include "models/cost/layer_key.hpp"

namespace widthwise {

std::string_view model_revision() { return kModelRevision; }

std::string_view library_version() { return WIDTHWISE_VERSION; }

}  // namespace widthwise
