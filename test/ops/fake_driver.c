/* As much of NVIDIA's driver as cuDNN asks for while it makes a plan for a GPU that is not there: kernels are "loaded", none can run. */
enum { success = 0, no_device = 100 };

static char something;

static int give(void** handle) {
  *handle = &something;
  return success;
}
static int say(const char** text) {
  *text = "no GPU here: a stand-in for the driver";
  return success;
}

int cuInit(unsigned flags) {
  (void)flags;
  return no_device;
}
int cuDriverGetVersion(int* version) {
  *version = 13000;
  return success;
}
int cuDeviceGetCount(int* count) {
  *count = 0;
  return no_device;
}
int cuGetErrorString(int error, const char** text) {
  (void)error;
  return say(text);
}
int cuGetErrorName(int error, const char** text) {
  (void)error;
  return say(text);
}
int cuLibraryLoadData(void** library) {
  return give(library);
}
int cuLibraryUnload(void* library) {
  (void)library;
  return success;
}
int cuLibraryGetKernel(void** kernel) {
  return give(kernel);
}
int cuKernelGetFunction(void** function) {
  return give(function);
}
int cuModuleLoadData(void** module) {
  return give(module);
}
int cuModuleUnload(void* module) {
  (void)module;
  return success;
}
int cuModuleGetFunction(void** function) {
  return give(function);
}
/* Looked up with the others, and called when something is to run. */
#define REFUSED(name) \
  int name(void) {    \
    return no_device; \
  }
REFUSED(cuCtxGetCurrent)
REFUSED(cuCtxGetLimit)
REFUSED(cuCtxPopCurrent)
REFUSED(cuCtxPushCurrent)
REFUSED(cuDeviceGet)
REFUSED(cuKernelGetAttribute)
REFUSED(cuKernelSetAttribute)
REFUSED(cuLaunchCooperativeKernel)
REFUSED(cuLaunchKernel)
REFUSED(cuLaunchKernelEx)
REFUSED(cuLibraryLoadFromFile)
REFUSED(cuLinkAddData)
REFUSED(cuLinkComplete)
REFUSED(cuLinkCreate)
REFUSED(cuLinkDestroy)
REFUSED(cuOccupancyMaxPotentialClusterSize)
REFUSED(cuStreamGetCtx)
REFUSED(cuTensorMapEncodeIm2col)
REFUSED(cuTensorMapEncodeTiled)
