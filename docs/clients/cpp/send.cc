// Sends events to a gateway and says what became of them.
//
//   send --address HOST:PORT --key-file FILE [--ca FILE | --tls] [--events N] [--every MS]

#include <google/protobuf/util/time_util.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "sender.h"

namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!(text << file.rdbuf())) throw std::runtime_error(path + " can't be read");
  return text.str();
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const std::string& ca, bool tls) {
  if (ca.empty() && !tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!ca.empty()) options.pem_root_certs = Read(ca);
  return grpc::SslCredentials(options);
}

Sender::Event Event(int number) {
  Sender::Event event;
  event.set_event_type("login");
  event.set_event_name("player_login");
  *event.mutable_event_timestamp() = google::protobuf::util::TimeUtil::GetCurrentTime();
  event.set_event_data("{\"player_id\":\"p-" + std::to_string(number % 1000) + "\",\"number\":" + std::to_string(number) +
                       "}");
  return event;
}

void Send(Sender& sender, int events, std::chrono::milliseconds every) {
  for (int number = 0; number < events; ++number) {
    sender.Put(Event(number));
    std::this_thread::sleep_for(every);
  }
  sender.Close();
}

}  // namespace

int main(int count, char** arguments) {
  std::map<std::string, std::string> options = {
      {"--address", "127.0.0.1:50051"}, {"--key-file", "headgate-data/demo-api-key"}, {"--ca", ""}, {"--events", "10000"},
      {"--every", "0"}};
  bool tls = false;
  for (int at = 1; at < count; ++at) {
    const std::string name = arguments[at];
    if (name == "--tls") {
      tls = true;
    } else if (options.count(name) == 1 && at + 1 < count) {
      options[name] = arguments[++at];
    } else {
      std::fprintf(stderr,
                   "usage: send [--address HOST:PORT] [--key-file FILE] [--ca FILE | --tls] [--events N] [--every MS]\n");
      return 2;
    }
  }
  int status = 0;
  try {
    std::string key = Read(options["--key-file"]);
    key.erase(key.find_last_not_of(" \r\n") + 1);
    Sender sender(options["--address"], key, Credentials(options["--ca"], tls));
    try {
      Send(sender, std::stoi(options["--events"]), std::chrono::milliseconds(std::stoi(options["--every"])));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      status = 1;
    }
    const auto [acknowledged, refused, resent, put_off, streams] = sender.counts();
    std::printf("acknowledged=%lu refused=%lu resent=%lu put_off=%lu streams=%lu\n", acknowledged, refused, resent, put_off,
                streams);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    status = 1;
  }
  return status;
}
