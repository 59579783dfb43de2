// Stands in for NVIDIA's libnvidia-ml.so.1 in tests: two GPUs, of which the second does not answer.
struct Utilization {
  unsigned gpu, memory;
};
struct Memory {
  unsigned long long total, free, used;
};

extern "C" {
int nvmlInit_v2() {
  return 0;
}
int nvmlShutdown() {
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  return *count = 2, 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  static int devices[2];
  return *device = &devices[index], index == 0 ? 0 : 15;
}
int nvmlDeviceGetUtilizationRates(void*, Utilization* part) {
  return *part = {87, 12}, 0;
}
int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  return *memory = {1000, 400, 600}, 0;
}
}
