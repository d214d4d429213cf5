// Sends events to a Headgate gateway: batches on one long-lived stream, sent again until each has its verdict.
//
// Put waits while the queue is full, so memory is bounded: at most kQueue events wait and kWindow batches are in flight.
// While the gateway is away, events wait here; what was in flight is sent again with the same ids. Close flushes.

#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "headgate/v1/ingest.grpc.pb.h"

class Sender {
 public:
  using Clock = std::chrono::steady_clock;
  using Event = headgate::v1::Event;

  struct Counts {
    uint64_t acknowledged = 0;  // Events that were stored,
    uint64_t refused = 0;       // that were given up,
    uint64_t resent = 0;        // that were sent once more.
    uint64_t put_off = 0;       // How often the gateway asked to wait.
    uint64_t streams = 0;       // How many brought answers.
  };

  Sender(const std::string& address, std::string key, const std::shared_ptr<grpc::ChannelCredentials>& credentials);
  // Gives up what Close has not seen settled.
  ~Sender();

  // Takes an event, and waits while the queue is full. One without an id gets one: it makes a resend harmless. Throws
  // std::runtime_error once the sender is closed, or a stream ended for good.
  void Put(Event event);

  // Sends what is left and waits for its verdicts. Throws std::runtime_error if some has none after that time.
  void Close(Clock::duration patience = std::chrono::seconds(60));

  Counts counts();

 private:
  // As it goes on the wire; its sequence is set when it does.
  using Batch = std::shared_ptr<headgate::v1::StreamEventsRequest>;

  struct Waiting {
    Event event;
    Clock::time_point came;
  };

  // One that is open, and the batches on it that have no answer yet.
  struct Stream {
    grpc::ClientContext context;
    std::map<uint64_t, Batch> in_flight;
    uint64_t sequence = 0;
    bool answered = false;
    bool leaving = false;  // Asked to leave: nothing more is sent here.
    bool over = false;
  };

  using Call = grpc::ClientReaderWriter<headgate::v1::StreamEventsRequest, headgate::v1::StreamEventsResponse>;

  void Run();
  std::optional<Clock::duration> Converse(Stream& stream);
  void Write(Stream& stream, Call& call);
  Batch Next(Stream& stream);
  // All of these with the mutex held.
  Batch Take(Clock::time_point now);
  void Answered(Stream& stream, const headgate::v1::StreamEventsResponse& answer);
  void Settle(const Batch& batch, const headgate::v1::BatchVerdict& verdict);
  void Refuse(const Batch& batch, const headgate::v1::Status& refusal);
  void PutOff(Clock::duration delay);
  bool Done() const;
  uint64_t Left() const;

  const std::string key_;
  const std::unique_ptr<headgate::v1::IngestService::Stub> service_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> queue_;
  std::deque<Batch> again_;  // To be sent again, before anything new.
  size_t window_ = 1;
  Clock::time_point not_before_;
  Stream* stream_ = nullptr;
  bool closing_ = false;
  bool given_up_ = false;
  std::string failure_;
  Counts counts_;
  std::thread loop_;
};
