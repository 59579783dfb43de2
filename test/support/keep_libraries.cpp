// In sanitizer builds libraries stay loaded: Open MPI unloads its components at the end, and a report could not name the one that it is about.
extern "C" int dlclose(void*) {
  return 0;
}
