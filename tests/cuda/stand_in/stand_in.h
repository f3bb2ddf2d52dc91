// What the parts of the stand-in share: streams, recordings (stream captures), and what is counted for the tests.
//
// The rules are those of NVIDIA's documentation:
//   [guide]   CUDA C++ Programming Guide, "Creating a Graph Using Stream Capture", with "Prohibited and Unhandled Operations" and "Invalidation"
//             https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#creating-a-graph-using-stream-capture
//   [runtime] CUDA Runtime API: https://docs.nvidia.com/cuda/cuda-runtime-api/
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <set>
#include <string>

constexpr int DEVICES = 2;

struct Stream {
  int device = 0;
  bool blocking = false;           // waits for the legacy default stream, and it for this one
  unsigned long long capture = 0;  // the id of the recording that it is part of
  long work = 0, joined = 0;       // operations in that recording, and how many of them another of its streams has waited for
};

struct Capture {
  unsigned long long id;
  cudaStreamCaptureMode mode;
  long thread;  // that began it
  Stream* origin;
  bool spoiled = false;
  std::set<Stream*> streams;
  long nodes = 0, kernels = 0;
};

struct Graph {
  long nodes, kernels;
};

// One lock for everything. It is taken by the functions that torch calls; what they call in turn may take it again.
extern std::recursive_mutex everything;
#define LOCKED std::lock_guard<std::recursive_mutex> lock(everything)

extern std::map<unsigned long long, Capture*> captures;  // under way
extern thread_local int current_device;

void count(const char* name, long by = 1);
void note_graph(const Graph& graph);
void log_line(const std::string& line);
long this_thread();

cudaError_t failed(cudaError_t error, const char* function);  // kept for cudaGetLastError(), as the real one does
cudaError_t take_last_error(bool forget);

Stream* stream_of(cudaStream_t handle);
Capture* capture_of(Stream* stream);
void spoil(Capture* capture, const char* why);
cudaError_t potentially_unsafe(const char* function);
cudaError_t waits_for_device(const char* function);
cudaError_t enqueue(cudaStream_t handle, const char* function, bool kernel, bool* recorded = nullptr);
void do_waiting_copies();
