// cuBLAS and cuBLASLt as torch calls them: each product is one kernel on the handle's stream. Declared here, for the headers of cuBLAS do not
// come with torch; so the signatures are only as exact as C linkage needs.
#include <cuda_runtime_api.h>

#include <cstring>

struct Handle {
  cudaStream_t stream;
};

constexpr int SUCCESS = 0, EXECUTION_FAILED = 13;  // cublasStatus_t

static int one_kernel(cudaStream_t stream) { return cudaLaunchKernel(nullptr, dim3(1), dim3(1), nullptr, 0, stream) ? EXECUTION_FAILED : SUCCESS; }

extern "C" {

int cublasCreate_v2(void** handle) { *handle = new Handle{nullptr}; return SUCCESS; }
int cublasDestroy_v2(void* handle) { delete static_cast<Handle*>(handle); return SUCCESS; }
int cublasSetStream_v2(void* handle, cudaStream_t stream) { static_cast<Handle*>(handle)->stream = stream; return SUCCESS; }
int cublasSetWorkspace_v2(void*, void*, size_t) { return SUCCESS; }
int cublasSetMathMode(void*, int) { return SUCCESS; }
int cublasGetMathMode(void*, int* mode) { *mode = 0; return SUCCESS; }
int cublasSetPointerMode_v2(void*, int) { return SUCCESS; }
int cublasGetPointerMode_v2(void*, int* mode) { *mode = 0; return SUCCESS; }
int cublasSetSmCountTarget(void*, int) { return SUCCESS; }

#define ONE_KERNEL(name) \
  int name(void* handle, ...) { return one_kernel(static_cast<Handle*>(handle)->stream); }
ONE_KERNEL(cublasSgemm_v2)
ONE_KERNEL(cublasDgemm_v2)
ONE_KERNEL(cublasSgemmEx)
ONE_KERNEL(cublasGemmEx)
ONE_KERNEL(cublasGemmStridedBatchedEx)
ONE_KERNEL(cublasSgemmStridedBatched)
ONE_KERNEL(cublasDgemmStridedBatched)
ONE_KERNEL(cublasSgemv_v2)
ONE_KERNEL(cublasDgemv_v2)
ONE_KERNEL(cublasSdot_v2)
ONE_KERNEL(cublasDdot_v2)
ONE_KERNEL(cublasDotEx)

#define MAKES_SOMETHING(name) \
  int name(void** made, ...) { *made = reinterpret_cast<void*>(1); return SUCCESS; }
MAKES_SOMETHING(cublasLtMatmulDescCreate)
MAKES_SOMETHING(cublasLtMatmulPreferenceCreate)
MAKES_SOMETHING(cublasLtMatrixLayoutCreate)

#define DOES_NOTHING(name) \
  int name(...) { return SUCCESS; }
DOES_NOTHING(cublasLtMatmulDescDestroy)
DOES_NOTHING(cublasLtMatmulDescSetAttribute)
DOES_NOTHING(cublasLtMatmulPreferenceDestroy)
DOES_NOTHING(cublasLtMatmulPreferenceSetAttribute)
DOES_NOTHING(cublasLtMatrixLayoutDestroy)
DOES_NOTHING(cublasLtMatrixLayoutSetAttribute)
DOES_NOTHING(cublasLtMatmulAlgoConfigSetAttribute)
DOES_NOTHING(cublasLtMatmulAlgoConfigGetAttribute)
DOES_NOTHING(cublasLtMatmulAlgoInit)
DOES_NOTHING(cublasLtMatmulAlgoCheck)

int cublasLtMatmulAlgoGetHeuristic(void*, void*, void*, void*, void*, void*, void*, int, void* results, int* found) {
  std::memset(results, 0, 64);
  *found = 1;
  return SUCCESS;
}
int cublasLtMatmul(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*, void*, void*,
                   const void*, void*, size_t, cudaStream_t stream) {
  return one_kernel(stream);
}
size_t cublasLtGetVersion() { return 130000; }
}
