#include <functional>
#include <map>
#include <string>

#include "models/network/onnx_importer.hpp"

namespace widthwise::onnx_import {

// The operators.

const std::map<std::string, Handler, std::less<>>& handlers() {
  static const std::map<std::string, Handler, std::less<>> table = [] {
    std::map<std::string, Handler, std::less<>> rows = {
        {"Conv", import_convolution},
        {"Gemm", import_gemm},
        {"MatMul", import_matmul},
        {"Einsum", import_einsum},
        {"LSTM", import_recurrent},
        {"GRU", import_recurrent},
        {"RNN", import_recurrent},
        {"MaxPool", import_pool},
        {"AveragePool", import_pool},
        {"GlobalAveragePool", import_global_pool},
        {"GlobalMaxPool", import_global_pool},
        {"BatchNormalization", import_batch_normalization},
        {"LayerNormalization", import_normalization},
        {"InstanceNormalization", import_normalization},
        {"GroupNormalization", import_normalization},
        {"LRN", import_normalization},
        {"LpNormalization", import_normalization},
        {"MeanVarianceNormalization", import_normalization},
        {"Softmax", import_softmax},
        {"LogSoftmax", import_softmax},
        {"ReduceMean", import_reduce},
        {"ReduceSum", import_reduce},
        {"ReduceMax", import_reduce},
        {"ReduceMin", import_reduce},
        {"ReduceProd", import_reduce},
        {"ReduceL1", import_reduce},
        {"ReduceL2", import_reduce},
        {"ReduceSumSquare", import_reduce},
        {"Identity", import_identity},
        {"Dropout", import_identity},
        {"Cast", import_cast},
        {"Reshape", import_reshape},
        {"Flatten", import_flatten},
        {"Squeeze", import_squeeze},
        {"Unsqueeze", import_unsqueeze},
        {"Transpose", import_transpose},
        {"Slice", import_slice},
        {"Split", import_split},
        {"Pad", import_pad},
        {"Gather", import_gather},
        {"Concat", import_concat},
        {"Expand", import_expand},
        {"Tile", import_tile},
        {"Resize", import_resize},
        {"Upsample", import_resize},
        {"DepthToSpace", import_depth_to_space},
        {"SpaceToDepth", import_depth_to_space},
        {"Shape", import_shape},
        {"Size", import_size},
        {"Constant", import_constant},
        {"ConstantOfShape", import_constant_of_shape},
        {"Range", import_range},
        {"ScatterND", import_constant_like_first},
        {"ScatterElements", import_constant_like_first},
        {"Trilu", import_constant_like_first},
        {"CumSum", import_constant_like_first},
    };
    for (const ElementwiseKind& row : elementwise_kinds()) {
      rows.emplace(std::string(row.op), import_elementwise);
    }
    for (const char* op :
         {"Relu",           "LeakyRelu",   "PRelu",     "Elu",  "Selu",     "Celu",
          "Sigmoid",        "HardSigmoid", "HardSwish", "Tanh", "Clip",     "Erf",
          "Sqrt",           "Exp",         "Log",       "Neg",  "Abs",      "Reciprocal",
          "Floor",          "Ceil",        "Round",     "Sign", "Softplus", "Softsign",
          "Mish",           "Gelu",        "Silu",      "Sin",  "Cos",      "Not",
          "ThresholdedRelu"}) {
      rows.emplace(op, import_elementwise);
    }
    return rows;
  }();
  return table;
}

}  // namespace widthwise::onnx_import
