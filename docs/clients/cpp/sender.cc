#include "sender.h"

#include <google/protobuf/empty.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <utility>

namespace pb = headgate::v1;
using std::chrono::milliseconds;

namespace {

constexpr int kBatchEvents = 500;        // At most the application's burst: a larger batch never passes.
constexpr size_t kBatchBytes = 1 << 20;  // A batch of so many is full, too. The gateway takes messages of 4 MiB, and
                                         // events of 900 KiB.
constexpr milliseconds kLinger(100);     // That an event waits for others.
constexpr size_t kWindow = 16;           // Batches in flight, at most: a stream starts with one, each verdict adds one.
constexpr size_t kQueue = 20'000;        // Events that wait to be sent.
constexpr milliseconds kFirstPause(100);    // Before the next stream; doubled with each that brings no answer,
constexpr milliseconds kLongestPause(5'000);  // up to this.

grpc::ChannelArguments ChannelArguments() {
  grpc::ChannelArguments arguments;
  // A connection that died without a word is found out within 15 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The channel waits less than its two minutes before it connects again. The smallest is an attempt's patience, too.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstPause.count());
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLongestPause.count());
  return arguments;
}

std::mt19937_64& Random() {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return random;
}

double Between(double low, double high) { return std::uniform_real_distribution<double>(low, high)(Random()); }

// A UUID of version 4.
std::string NewId() {
  const uint64_t high = (Random()() & ~0xF000ull) | 0x4000, low = (Random()() & ~(3ull << 62)) | 1ull << 63;
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xFFFF), static_cast<unsigned>(high & 0xFFFF),
                static_cast<unsigned>(low >> 48), static_cast<unsigned long long>(low & 0xFFFFFFFFFFFF));
  return text;
}

Sender::Clock::duration Duration(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

Sender::Clock::duration Times(Sender::Clock::duration duration, double factor) {
  return std::chrono::duration_cast<Sender::Clock::duration>(duration * factor);
}

// A stream that ends with one of these ends so again, until someone mends the key or the client.
bool IsForGood(grpc::StatusCode code) {
  return code == grpc::UNAUTHENTICATED || code == grpc::PERMISSION_DENIED || code == grpc::UNIMPLEMENTED ||
         code == grpc::INVALID_ARGUMENT;
}

// The `google.rpc.RetryInfo` of the status that ended a stream, if there is one. Its only field is a duration with the
// number 1: not worth generating googleapis' code for.
std::optional<Sender::Clock::duration> RetryDelay(const grpc::Status& end) {
  pb::Status details;  // It has the shape of `google.rpc.Status`.
  if (!details.ParseFromString(end.error_details())) return std::nullopt;
  for (const auto& detail : details.details()) {
    google::protobuf::Empty info;
    google::protobuf::Duration delay;
    if (detail.type_url() != "type.googleapis.com/google.rpc.RetryInfo" || !info.ParseFromString(detail.value())) continue;
    const auto& fields = info.GetReflection()->GetUnknownFields(info);
    if (fields.field_count() == 1 && fields.field(0).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED &&
        delay.ParseFromString(fields.field(0).length_delimited())) {
      return Duration(delay);
    }
  }
  return std::nullopt;
}

}  // namespace

Sender::Sender(const std::string& address, std::string key, const std::shared_ptr<grpc::ChannelCredentials>& credentials)
    : key_(std::move(key)),
      service_(pb::IngestService::NewStub(grpc::CreateCustomChannel(address, credentials, ChannelArguments()))),
      loop_([this] { Run(); }) {}

Sender::~Sender() {
  {
    std::lock_guard lock(mutex_);
    given_up_ = true;
    if (stream_ != nullptr) stream_->context.TryCancel();
    changed_.notify_all();
  }
  loop_.join();
}

void Sender::Put(Event event) {
  if (event.event_id().empty()) event.set_event_id(NewId());
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.size() < kQueue || closing_ || !failure_.empty(); });
  if (!failure_.empty()) throw std::runtime_error(failure_);
  if (closing_) throw std::runtime_error("the sender is closed");
  queue_.push_back({std::move(event), Clock::now()});
  changed_.notify_all();
}

void Sender::Close(Clock::duration patience) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, patience, [this] { return Done(); });
  if (!failure_.empty()) throw std::runtime_error(failure_);
  if (Left() > 0) throw std::runtime_error(std::to_string(Left()) + " events have no verdict in time");
}

Sender::Counts Sender::counts() {
  std::lock_guard lock(mutex_);
  return counts_;
}

void Sender::Run() {
  Clock::duration pause = kFirstPause;
  for (;;) {
    Stream stream;
    {
      std::lock_guard lock(mutex_);
      if (Done()) return;
      stream_ = &stream;
      window_ = 1;
    }
    const auto hint = Converse(stream);
    std::unique_lock lock(mutex_);
    stream_ = nullptr;
    pause = stream.answered ? Clock::duration(kFirstPause) : std::min<Clock::duration>(2 * pause, kLongestPause);
    // Servers that lost the same gateway do not come back in step.
    changed_.wait_for(lock, hint.value_or(Times(pause, Between(0, 1))), [this] { return Done(); });
  }
}

// One stream, from its opening to its end. Returns how long the gateway says to wait, if it does.
std::optional<Sender::Clock::duration> Sender::Converse(Stream& stream) {
  stream.context.AddMetadata("x-api-key", key_);
  stream.context.set_wait_for_ready(true);  // gRPC connects only while a call waits for it.
  const auto call = service_->StreamEvents(&stream.context);
  std::thread writer([&] { Write(stream, *call); });
  pb::StreamEventsResponse answer;
  while (call->Read(&answer)) {
    std::lock_guard lock(mutex_);
    Answered(stream, answer);
    changed_.notify_all();
  }
  {
    // What has no answer may be stored or not: it is sent again, and its ids tell the gateway which it is.
    std::lock_guard lock(mutex_);
    stream.over = true;
    for (auto batch = stream.in_flight.rbegin(); batch != stream.in_flight.rend(); ++batch) {
      again_.push_front(batch->second);
    }
    stream.in_flight.clear();
    changed_.notify_all();
  }
  writer.join();
  const grpc::Status end = call->Finish();
  std::lock_guard lock(mutex_);
  if (IsForGood(end.error_code())) {
    failure_ = end.error_message();
    changed_.notify_all();
  } else if (!end.ok() && !given_up_) {
    std::fprintf(stderr, "the stream ended, %d: %s\n", end.error_code(), end.error_message().c_str());
  }
  return RetryDelay(end);
}

void Sender::Write(Stream& stream, Call& call) {
  while (const Batch batch = Next(stream)) {
    if (!call.Write(*batch)) return;  // The stream is broken, and the reader is told so, too.
  }
  call.WritesDone();
}

// Waits until a batch may be sent on this stream; null: the stream is to end.
Sender::Batch Sender::Next(Stream& stream) {
  std::unique_lock lock(mutex_);
  while (!stream.over && !stream.leaving && !given_up_) {
    const auto now = Clock::now();
    auto wake = Clock::time_point::max();
    if (stream.in_flight.size() < window_) {
      wake = not_before_;
      if (not_before_ <= now) {
        if (Batch batch = Take(now)) {
          batch->set_sequence(++stream.sequence);
          stream.in_flight[stream.sequence] = batch;
          return batch;
        }
        if (closing_ && stream.in_flight.empty()) return nullptr;
        wake = queue_.empty() ? Clock::time_point::max() : queue_.front().came + kLinger;
      }
    }
    if (wake == Clock::time_point::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, wake);
    }
  }
  return nullptr;
}

// The next batch: one to send again, or a full one, or what has waited long enough.
Sender::Batch Sender::Take(Clock::time_point now) {
  if (!again_.empty()) {
    Batch batch = again_.front();
    again_.pop_front();
    counts_.resent += batch->events_size();
    return batch;
  }
  if (queue_.empty()) return nullptr;
  if (!closing_ && queue_.size() < kBatchEvents && queue_.front().came + kLinger > now) return nullptr;
  auto batch = std::make_shared<pb::StreamEventsRequest>();
  size_t size = 0;
  while (!queue_.empty() && batch->events_size() < kBatchEvents && size < kBatchBytes) {
    *batch->add_events() = std::move(queue_.front().event);
    queue_.pop_front();
    size += batch->events(batch->events_size() - 1).ByteSizeLong();
  }
  changed_.notify_all();
  return batch;
}

void Sender::Answered(Stream& stream, const pb::StreamEventsResponse& answer) {
  if (answer.has_notice()) {
    // Draining, or an old connection: this stream ends once its answers are in, and the next one is opened.
    stream.leaving = true;
    return;
  }
  const auto found = stream.in_flight.find(answer.sequence());
  if (found == stream.in_flight.end()) return;
  const Batch batch = found->second;
  stream.in_flight.erase(found);
  if (!stream.answered) ++counts_.streams;
  stream.answered = true;
  if (answer.has_verdict()) {
    Settle(batch, answer.verdict());
  } else {
    Refuse(batch, answer.refusal());
  }
}

void Sender::Settle(const Batch& batch, const pb::BatchVerdict& verdict) {
  counts_.acknowledged += verdict.accepted();
  counts_.refused += verdict.rejected();
  auto again = std::make_shared<pb::StreamEventsRequest>();
  Clock::duration delay{};
  for (const auto& each : verdict.not_accepted()) {
    const Event& event = batch->events(static_cast<int>(each.index()));
    if (each.code() == pb::VERDICT_CODE_REJECTED) {
      std::fprintf(stderr, "event %s is rejected: %s\n", event.event_id().c_str(), each.message().c_str());
    } else {
      *again->add_events() = event;
      delay = std::max(delay, Duration(each.retry_delay()));
    }
  }
  if (again->events_size() > 0) {
    again_.push_back(again);
    PutOff(delay > Clock::duration::zero() ? delay : Clock::duration(kFirstPause));
  } else {
    window_ = std::min(window_ + 1, kWindow);
  }
}

void Sender::Refuse(const Batch& batch, const pb::Status& refusal) {
  if (refusal.has_retry_delay()) {
    again_.push_back(batch);
    PutOff(Duration(refusal.retry_delay()));
  } else {
    counts_.refused += batch->events_size();
    std::fprintf(stderr, "a batch of %d events is refused: %s\n", batch->events_size(), refusal.message().c_str());
  }
}

// The gateway is over a limit: nothing is sent before it says, and then less at once.
void Sender::PutOff(Clock::duration delay) {
  ++counts_.put_off;
  window_ = std::max<size_t>(window_ / 2, 1);
  not_before_ = std::max(not_before_, Clock::now() + Times(delay, Between(1, 1.1)));
}

bool Sender::Done() const { return given_up_ || !failure_.empty() || (closing_ && Left() == 0); }

uint64_t Sender::Left() const {
  uint64_t left = queue_.size();
  for (const auto& batch : again_) left += batch->events_size();
  if (stream_ != nullptr) {
    for (const auto& [_, batch] : stream_->in_flight) left += batch->events_size();
  }
  return left;
}
