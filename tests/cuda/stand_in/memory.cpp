// Memory of the devices, which is host memory here, pinned memory, and copies.
//
// [runtime] API synchronization behavior: a copy to or from pinned memory, or within a device, is done some time later. Here it is done when
// someone waits. So memory that is written again too early, or read too early, holds wrong numbers in a test.
#include "stand_in.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

struct Block {
  size_t bytes;
  int device;
};

static std::map<char*, Block> blocks;
static std::map<char*, size_t> pinned;
static std::vector<std::function<void()>> waiting;
static size_t used[DEVICES];
static size_t there = size_t{80} << 30;

void do_waiting_copies() {
  LOCKED;
  for (auto& copy : waiting) copy();
  waiting.clear();
}

template <class Map>
static auto find(Map& map, const void* place, size_t (*bytes)(typename Map::mapped_type&)) {
  auto found = map.upper_bound(const_cast<char*>(static_cast<const char*>(place)));
  if (found == map.begin()) return map.end();
  --found;
  return static_cast<const char*>(place) < found->first + bytes(found->second) ? found : map.end();
}
static auto find_block(const void* place) { return find(blocks, place, +[](Block& block) { return block.bytes; }); }
static auto find_pinned(const void* place) { return find(pinned, place, +[](size_t& bytes) { return bytes; }); }
static bool is_pageable(const void* place) { return find_block(place) == blocks.end() && find_pinned(place) == pinned.end(); }

extern "C" {

// How much memory each device has from now on.
void stand_in_set_memory(long bytes) { LOCKED; there = bytes; }

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  LOCKED;
  *total = there;
  *free = there > used[current_device] ? there - used[current_device] : 0;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** place, size_t bytes) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaMalloc")) return error;
  if (used[current_device] + bytes > there) return failed(cudaErrorMemoryAllocation, "cudaMalloc");
  *place = std::calloc(1, bytes + 64);
  blocks[static_cast<char*>(*place)] = {bytes, current_device};
  used[current_device] += bytes;
  count("bytes", static_cast<long>(bytes));
  return cudaSuccess;
}

cudaError_t cudaFree(void* place) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaFree")) return error;
  auto found = blocks.find(static_cast<char*>(place));
  if (found == blocks.end()) return place ? failed(cudaErrorInvalidValue, "cudaFree") : cudaSuccess;
  do_waiting_copies();
  used[found->second.device] -= found->second.bytes;
  count("bytes", -static_cast<long>(found->second.bytes));
  blocks.erase(found);
  std::free(place);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** place, size_t bytes, unsigned) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaHostAlloc")) return error;
  *place = std::calloc(1, bytes + 64);
  pinned[static_cast<char*>(*place)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* place) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaFreeHost")) return error;
  do_waiting_copies();
  pinned.erase(static_cast<char*>(place));
  std::free(place);
  return cudaSuccess;
}

cudaError_t cudaHostRegister(void*, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* place) {
  LOCKED;
  std::memset(attributes, 0, sizeof *attributes);
  attributes->type = cudaMemoryTypeUnregistered;
  if (auto found = find_block(place); found != blocks.end()) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->device = found->second.device;
    attributes->devicePointer = const_cast<void*>(place);
  } else if (find_pinned(place) != pinned.end()) {
    attributes->type = cudaMemoryTypeHost;
    attributes->hostPointer = const_cast<void*>(place);
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  LOCKED;
  bool recorded;
  if (auto error = enqueue(stream, "cudaMemcpyAsync", false, &recorded)) return error;
  bool pageable = is_pageable(to) || is_pageable(from);
  if (recorded) {
    if (pageable) count("pageable copies recorded");  // each replay would read memory that is long gone
    return cudaSuccess;
  }
  if (!pageable) {
    waiting.push_back([=] { std::memmove(to, from, bytes); });
    return cudaSuccess;
  }
  do_waiting_copies();
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  LOCKED;
  count("waits");
  if (auto error = potentially_unsafe("cudaMemcpy")) return error;
  if (auto error = enqueue(nullptr, "cudaMemcpy", false)) return error;
  do_waiting_copies();
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemcpyToSymbol(const void*, const void*, size_t, size_t, cudaMemcpyKind) { return cudaSuccess; }

cudaError_t cudaMemsetAsync(void* place, int value, size_t bytes, cudaStream_t stream) {
  LOCKED;
  bool recorded;
  if (auto error = enqueue(stream, "cudaMemsetAsync", false, &recorded)) return error;
  if (!recorded) waiting.push_back([=] { std::memset(place, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* place, int value, size_t bytes) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaMemset")) return error;
  if (auto error = enqueue(nullptr, "cudaMemset", false)) return error;
  waiting.push_back([=] { std::memset(place, value, bytes); });
  return cudaSuccess;
}
}
