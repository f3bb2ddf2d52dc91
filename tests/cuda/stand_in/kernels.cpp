// Kernels, which do nothing, and graphs of them.
#include "stand_in.h"

#include <cstring>

static std::set<Graph*> runnable;  // instantiated graphs

static cudaError_t launch(cudaStream_t stream) {
  LOCKED;
  count("launches");
  return enqueue(stream, "a kernel", true);
}

extern "C" {

cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, size_t, cudaStream_t stream) { return launch(stream); }
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void*, void**) { return launch(config->stream); }
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t stream) { return launch(stream); }
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  std::memset(attributes, 0, sizeof *attributes);
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->ptxVersion = attributes->binaryVersion = 90;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t, cudaFuncAttribute, int, int) { return cudaSuccess; }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int, size_t, unsigned) {
  *blocks = 2;
  return cudaSuccess;
}
cudaError_t cudaGetSymbolAddress(void** place, const void*) {
  static char symbol[1 << 16];
  *place = symbol;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* how_many) {
  *how_many = graph ? reinterpret_cast<Graph*>(graph)->nodes : 0;
  return cudaSuccess;
}
cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t, cudaGraphNode_t*, cudaGraphEdgeData*, size_t* how_many) {
  *how_many = 0;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  LOCKED;
  auto* copy = new Graph(*reinterpret_cast<Graph*>(graph));
  runnable.insert(copy);
  count("instances");
  *made = reinterpret_cast<cudaGraphExec_t>(copy);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  LOCKED;
  if (!runnable.count(reinterpret_cast<Graph*>(graph))) return failed(cudaErrorInvalidValue, "cudaGraphLaunch");
  count("replays");
  return enqueue(stream, "cudaGraphLaunch", false);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  LOCKED;
  delete reinterpret_cast<Graph*>(graph);
  count("graphs", -1);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaGraphExecDestroy")) return error;
  auto* which = reinterpret_cast<Graph*>(graph);
  if (!runnable.erase(which)) return failed(cudaErrorInvalidValue, "cudaGraphExecDestroy");
  delete which;
  count("instances", -1);
  return cudaSuccess;
}

cudaError_t cudaGraphRetainUserObject(cudaGraph_t, cudaUserObject_t, unsigned, unsigned) { return cudaSuccess; }
cudaError_t cudaUserObjectCreate(cudaUserObject_t* object, void*, cudaHostFn_t, unsigned, unsigned) {
  *object = reinterpret_cast<cudaUserObject_t>(1);
  return cudaSuccess;
}
cudaError_t cudaUserObjectRelease(cudaUserObject_t, unsigned) { return cudaSuccess; }
}
