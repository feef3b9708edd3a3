// Loads a version as TensorFlow Serving does, and prints z of `sample` for the seeds that it is given.
// Usage: load VERSION SEED SEED [SEED SEED ...]

#include <cstdlib>
#include <iostream>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"

int main(int argc, char** argv) {
  tensorflow::SavedModelBundle bundle;
  auto status = tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(), argv[1],
                                           {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status.message() << std::endl;
    return 1;
  }
  const auto& signature = bundle.meta_graph_def.signature_def().at("sample");
  const int rows = (argc - 2) / 2;
  tensorflow::Tensor seed(tensorflow::DT_INT32, {rows, 2});
  for (int i = 0; i < 2 * rows; ++i) seed.flat<int>()(i) = std::atoi(argv[2 + i]);
  std::vector<tensorflow::Tensor> outputs;
  status = bundle.session->Run({{signature.inputs().at("seed").name(), seed}},
                               {signature.outputs().at("z").name()}, {}, &outputs);
  if (!status.ok()) {
    std::cerr << status.message() << std::endl;
    return 1;
  }
  std::cout.precision(9);
  for (int i = 0; i < outputs[0].NumElements(); ++i) std::cout << outputs[0].flat<float>()(i) << " ";
  return 0;
}
