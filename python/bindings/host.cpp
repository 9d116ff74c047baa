#include "host.h"

#include "adapters/torch/parallel.h"

#include <cstdlib>
#include <string_view>

namespace opw::python {
namespace {

enum class Pool { ByTensor, Own, Torch };

Pool poolOfEnvironment() {
  const char *text = std::getenv("OPW_POOL");
  std::string_view name = text ? text : "";
  return name == "own" ? Pool::Own : name == "torch" ? Pool::Torch : Pool::ByTensor;
}

bool isOfTorch(PyTypeObject *type) {
  PyObject *name = PyUnicode_InternFromString("torch");
  PyObject *torch = name ? PyImport_GetModule(name) : nullptr;
  PyObject *tensor = torch ? PyObject_GetAttrString(torch, "Tensor") : nullptr; // none while torch is being imported
  bool is = tensor && PyType_Check(tensor) && PyType_IsSubtype(type, reinterpret_cast<PyTypeObject *>(tensor));
  Py_XDECREF(tensor);
  Py_XDECREF(torch);
  Py_XDECREF(name);
  PyErr_Clear(); // a module named torch that is something else has no tensors: not an error of this launch
  return is;
}

} // namespace

const opw_host_t *hostOf(PyTypeObject *tensor, bool &settled) {
  static const Pool pool = poolOfEnvironment();
  settled = true;
  if (pool == Pool::Own || (pool == Pool::ByTensor && !isOfTorch(tensor)))
    return nullptr;
  const opw_host_t *host = runtime::torchHost();
  settled = host || pool == Pool::ByTensor;
  return host;
}

} // namespace opw::python
