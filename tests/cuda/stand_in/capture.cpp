// Streams, events and stream capture: what may be recorded, and what spoils a recording.
#include "stand_in.h"

#include <pthread.h>

#include <cstring>

struct Event {
  unsigned long long capture = 0;
  Stream* stream = nullptr;  // on which it was recorded last
  long work = 0;             // of that stream, until then
};

std::map<unsigned long long, Capture*> captures;
thread_local int current_device = 0;

static Stream legacy[DEVICES] = {{0, true}, {1, true}};
static unsigned long long next_id = 1;
static thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;  // [runtime] a thread's mode at first

Stream* stream_of(cudaStream_t handle) {
  bool is_default = handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread;
  return is_default ? &legacy[current_device] : reinterpret_cast<Stream*>(handle);
}

Capture* capture_of(Stream* stream) {
  auto found = captures.find(stream->capture);
  return stream->capture && found != captures.end() ? found->second : nullptr;
}

// [guide] Invalidation: after an invalid operation every further call on the recording fails, and ending it gives no graph.
void spoil(Capture* capture, const char* why) {
  if (capture->spoiled) return;
  capture->spoiled = true;
  count("spoiled");
  log_line("recording " + std::to_string(capture->id) + " of thread " + std::to_string(capture->thread) + " spoiled by " + why);
}

// [runtime] cudaThreadExchangeStreamCaptureMode: which calls that may not be safe are refused, by the mode of this thread and of recordings.
cudaError_t potentially_unsafe(const char* function) {
  if (thread_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  for (auto& [id, capture] : captures) {
    bool mine = capture->thread == this_thread();
    bool refused = mine ? capture->mode != cudaStreamCaptureModeRelaxed
                        : thread_mode == cudaStreamCaptureModeGlobal && capture->mode == cudaStreamCaptureModeGlobal;
    if (refused) {
      spoil(capture, function);
      return failed(cudaErrorStreamCaptureUnsupported, function);
    }
  }
  return cudaSuccess;
}

// [guide] Prohibited: waiting for a device, or asking whether it is done, while one of its streams is recorded.
cudaError_t waits_for_device(const char* function) {
  for (auto& [id, capture] : captures)
    if (capture->origin->device == current_device) {
      spoil(capture, function);
      return failed(cudaErrorStreamCaptureUnsupported, function);
    }
  return cudaSuccess;
}

// [guide] Prohibited: using the legacy stream while a stream is recorded that was not made with cudaStreamNonBlocking.
static cudaError_t waits_for_blocking_streams(Stream* stream, const char* function) {
  if (stream != &legacy[stream->device]) return cudaSuccess;
  for (auto& [id, capture] : captures)
    for (Stream* other : capture->streams)
      if (other->blocking && other->device == stream->device) {
        spoil(capture, function);
        return failed(cudaErrorStreamCaptureImplicit, function);
      }
  return cudaSuccess;
}

// Work of another thread than the one that records. Backward passes run in torch's own threads, for the thread that asked: these are not strangers.
static void note_strangers(Capture* capture, const char* function) {
  if (capture->thread == this_thread()) return;
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof name);
  if (std::strncmp(name, "pt_autograd", 11) == 0) return;
  count("foreign");
  log_line(std::string(function) + " got into recording " + std::to_string(capture->id) + " of thread " + std::to_string(capture->thread));
}

// Work for a stream. recorded: whether it went into a recording, and so does not happen now.
cudaError_t enqueue(cudaStream_t handle, const char* function, bool kernel, bool* recorded) {
  Stream* stream = stream_of(handle);
  if (stream->device != current_device) return failed(cudaErrorInvalidResourceHandle, function);  // [guide] Stream and Event Behavior
  if (auto error = waits_for_blocking_streams(stream, function)) return error;
  Capture* capture = capture_of(stream);
  if (recorded) *recorded = capture != nullptr;
  if (!capture) {
    count(current_device == 0 ? "work on device 0" : "work on device 1");
    return cudaSuccess;
  }
  if (capture->spoiled) return failed(cudaErrorStreamCaptureInvalidated, function);
  stream->work++;
  capture->nodes++;
  if (kernel) capture->kernels++;
  note_strangers(capture, function);
  return cudaSuccess;
}

// [guide] Prohibited: waiting for a stream that is recorded, or asking whether it is done.
static cudaError_t looks_at_stream(cudaStream_t handle, const char* function) {
  Stream* stream = stream_of(handle);
  if (Capture* capture = capture_of(stream)) {
    spoil(capture, function);
    return failed(cudaErrorStreamCaptureUnsupported, function);
  }
  return waits_for_blocking_streams(stream, function);
}

// [guide] Prohibited: waiting for an event that was recorded into a graph, or asking whether it has come.
static cudaError_t looks_at_event(Event* event, const char* function) {
  auto found = captures.find(event->capture);
  if (!event->capture || found == captures.end()) return cudaSuccess;
  spoil(found->second, function);
  return failed(cudaErrorCapturedEvent, function);
}

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* handle, unsigned flags, int) {
  *handle = reinterpret_cast<cudaStream_t>(new Stream{current_device, flags != cudaStreamNonBlocking});
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags) { return cudaStreamCreateWithPriority(handle, flags, 0); }
cudaError_t cudaStreamCreate(cudaStream_t* handle) { return cudaStreamCreateWithPriority(handle, cudaStreamDefault, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) { *priority = 0; return cudaSuccess; }

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  LOCKED;
  if (auto error = looks_at_stream(handle, "cudaStreamQuery")) return error;
  do_waiting_copies();
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  LOCKED;
  count("waits");
  if (auto error = looks_at_stream(handle, "cudaStreamSynchronize")) return error;
  do_waiting_copies();
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  LOCKED;
  count("waits");
  if (auto error = waits_for_device("cudaDeviceSynchronize")) return error;
  do_waiting_copies();
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  LOCKED;
  Capture* capture = capture_of(stream_of(handle));
  *status = !capture            ? cudaStreamCaptureStatusNone
            : capture->spoiled ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status, unsigned long long* id, cudaGraph_t* graph,
                                     const cudaGraphNode_t** dependencies, const cudaGraphEdgeData** edges, size_t* how_many) {
  LOCKED;
  cudaStreamIsCapturing(handle, status);
  Capture* capture = capture_of(stream_of(handle));
  if (id) *id = capture ? capture->id : 0;
  if (graph) *graph = nullptr;
  if (dependencies) *dependencies = nullptr;
  if (edges) *edges = nullptr;
  if (how_many) *how_many = 0;
  return cudaSuccess;
}

cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t, cudaGraphNode_t*, const cudaGraphEdgeData*, size_t, unsigned) {
  return cudaSuccess;
}

// [runtime] cudaStreamBeginCapture: not on the legacy stream, not where one is under way.
cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  LOCKED;
  Stream* stream = stream_of(handle);
  if (stream == &legacy[stream->device]) return failed(cudaErrorStreamCaptureUnsupported, "cudaStreamBeginCapture");
  if (capture_of(stream)) return failed(cudaErrorIllegalState, "cudaStreamBeginCapture");
  auto* capture = new Capture{next_id++, mode, this_thread(), stream};
  capture->streams.insert(stream);
  stream->capture = capture->id;
  stream->work = stream->joined = 0;
  captures[capture->id] = capture;
  static std::set<Stream*> sides;
  if (sides.insert(stream).second) count("streams recorded on");
  log_line("recording " + std::to_string(capture->id) + " begins");
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t handle, cudaGraph_t, const cudaGraphNode_t*, const cudaGraphEdgeData*, size_t,
                                          cudaStreamCaptureMode mode) {
  return cudaStreamBeginCapture(handle, mode);
}

// [runtime] cudaStreamEndCapture: on the stream and, unless relaxed, in the thread that began it; what forked must have joined again.
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  LOCKED;
  Stream* stream = stream_of(handle);
  Capture* capture = capture_of(stream);
  if (!capture) return failed(cudaErrorIllegalState, "cudaStreamEndCapture");
  if (capture->origin != stream) return failed(cudaErrorStreamCaptureUnmatched, "cudaStreamEndCapture");
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != this_thread())
    return failed(cudaErrorStreamCaptureWrongThread, "cudaStreamEndCapture");
  cudaError_t result = capture->spoiled ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
  for (Stream* part : capture->streams) {
    if (!result && part != stream && part->work > part->joined) result = cudaErrorStreamCaptureUnjoined;
    part->capture = 0;
  }
  log_line("recording " + std::to_string(capture->id) + " ends with " + std::to_string(capture->kernels) + " kernels");
  *graph = nullptr;
  if (!result) {
    auto* made = new Graph{capture->nodes, capture->kernels};
    *graph = reinterpret_cast<cudaGraph_t>(made);
    count("graphs");
    count("recorded");
    note_graph(*made);
  }
  captures.erase(capture->id);
  delete capture;
  return result ? failed(result, "cudaStreamEndCapture") : cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned) {
  *handle = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* handle) { return cudaEventCreateWithFlags(handle, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t handle) { LOCKED; delete reinterpret_cast<Event*>(handle); return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) { *ms = 1; return cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t on) {
  LOCKED;
  Stream* stream = stream_of(on);
  if (auto error = waits_for_blocking_streams(stream, "cudaEventRecord")) return error;
  Capture* capture = capture_of(stream);
  if (capture && capture->spoiled) return failed(cudaErrorStreamCaptureInvalidated, "cudaEventRecord");
  *reinterpret_cast<Event*>(handle) = {capture ? capture->id : 0, stream, stream->work};
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t on, unsigned) { return cudaEventRecord(handle, on); }

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  LOCKED;
  if (auto error = potentially_unsafe("cudaEventQuery")) return error;
  if (auto error = looks_at_event(reinterpret_cast<Event*>(handle), "cudaEventQuery")) return error;
  do_waiting_copies();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  LOCKED;
  count("waits");
  if (auto error = looks_at_event(reinterpret_cast<Event*>(handle), "cudaEventSynchronize")) return error;
  do_waiting_copies();
  return cudaSuccess;
}

// [guide] Cross-stream Dependencies and Events: a wait for a recorded event brings the waiting stream into the recording. Two recordings
// must not be merged, and a recorded stream must not wait for what is not in its recording.
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t awaited, unsigned) {
  LOCKED;
  Stream* stream = stream_of(handle);
  auto* event = reinterpret_cast<Event*>(awaited);
  Capture* here = capture_of(stream);
  auto found = captures.find(event->capture);
  Capture* there = event->capture && found != captures.end() ? found->second : nullptr;
  if (there) {
    if (stream == &legacy[stream->device]) {
      spoil(there, "the legacy stream, which waits for it");
      return failed(cudaErrorStreamCaptureImplicit, "cudaStreamWaitEvent");
    }
    if (here && here != there) {
      spoil(here, "a wait for another recording");
      spoil(there, "a wait of another recording");
      return failed(cudaErrorStreamCaptureMerge, "cudaStreamWaitEvent");
    }
    if (!here) {
      stream->capture = there->id;
      stream->work = 1;
      stream->joined = 0;
      there->streams.insert(stream);
    }
    if (event->stream != stream && event->work > event->stream->joined) event->stream->joined = event->work;
    return cudaSuccess;
  }
  if (here && event->stream) {
    spoil(here, "a wait for work that is not recorded");
    return failed(cudaErrorStreamCaptureIsolation, "cudaStreamWaitEvent");
  }
  return cudaSuccess;
}

cudaError_t cudaStreamAddCallback(cudaStream_t, cudaStreamCallback_t, void*, unsigned) { return cudaSuccess; }
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t function, void* data) { function(data); return cudaSuccess; }
}
