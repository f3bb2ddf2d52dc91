// libcuda.so.1, which torch loads by name: what it looks for there, with nothing behind it.
extern "C" {

int cuInit(...) { return 0; }
int cuDriverGetVersion(int* version) { *version = 13000; return 0; }
int cuDeviceGetCount(int* devices) { *devices = 2; return 0; }
int cuDevicePrimaryCtxGetState(int, unsigned* flags, int* active) { *flags = 0; *active = 1; return 0; }
int cuCtxGetCurrent(void** context) { *context = reinterpret_cast<void*>(1); return 0; }

#define DOES_NOTHING(name) \
  int name(...) { return 0; }
DOES_NOTHING(cuDeviceGetAttribute)
DOES_NOTHING(cuDeviceGetUuid)
DOES_NOTHING(cuDevicePrimaryCtxRetain)
DOES_NOTHING(cuFileBufDeregister)
DOES_NOTHING(cuFileBufRegister)
DOES_NOTHING(cuFileHandleDeregister)
DOES_NOTHING(cuFileHandleRegister)
DOES_NOTHING(cuFileRead)
DOES_NOTHING(cuFileWrite)
DOES_NOTHING(cuFuncSetCacheConfig)
DOES_NOTHING(cuGetErrorName)
DOES_NOTHING(cuLaunchCooperativeKernel)
DOES_NOTHING(cuLinkAddData_v2)
DOES_NOTHING(cuMemGetAddressRange_v2)
DOES_NOTHING(cuOccupancyMaxActiveBlocksPerMultiprocessor)
DOES_NOTHING(cuPointerGetAttribute)
DOES_NOTHING(cuTensorMapEncodeTiled)
}
