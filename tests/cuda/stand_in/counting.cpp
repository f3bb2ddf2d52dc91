// What the tests read through ctypes, and a log for people.
#include "stand_in.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

std::recursive_mutex everything;

static std::map<std::string, long> counts;
static std::vector<Graph> recorded;
static thread_local cudaError_t last = cudaSuccess;

long this_thread() { return syscall(SYS_gettid); }

void count(const char* name, long by) { LOCKED; counts[name] += by; }

void note_graph(const Graph& graph) { LOCKED; recorded.push_back(graph); }

void log_line(const std::string& line) {
  static FILE* file = std::getenv("STAND_IN_LOG") ? std::fopen(std::getenv("STAND_IN_LOG"), "a") : nullptr;
  if (!file) return;
  std::fprintf(file, "[%ld] %s\n", this_thread(), line.c_str());
  std::fflush(file);
}

cudaError_t failed(cudaError_t error, const char* function) {
  last = error;
  count("errors");
  log_line("error " + std::to_string(error) + " from " + function);
  return error;
}

cudaError_t take_last_error(bool forget) {
  cudaError_t error = last;
  if (forget) last = cudaSuccess;
  return error;
}

extern "C" {

// How often something has happened, or how much of it there is now: see count() in the other files.
long stand_in_count(const char* name) { LOCKED; return counts[name]; }

// Kernels in the graph that was recorded as number i, from 0 on; -1 where there are not so many.
long stand_in_kernels(long i) { LOCKED; return i >= 0 && i < static_cast<long>(recorded.size()) ? recorded[i].kernels : -1; }
}
