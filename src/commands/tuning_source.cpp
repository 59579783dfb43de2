#include "commands/tuning_source.hpp"

#include "commands/model_source.hpp"
#include "strata/base/log.hpp"
#include "strata/deck/tuning_file.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

constexpr std::int64_t most_bytes = 1 << 24;

bool applies(const Session& session) {
  return !session.settings().device.tuning.empty() && device_of(session) == DeviceKind::cuda;
}

std::string text_of(const std::string& path) {
  try {
    return read_text(path, most_bytes);
  } catch (const DataError& e) {
    throw DeckError(text("device.tuning = ", path, ": expected a tuning file that strata measure has written; ", e.what()));
  }
}

std::shared_ptr<const NamedTuning> named(const std::string& path, const std::string& content) {
  return std::make_shared<const NamedTuning>(NamedTuning{parse_tuning(path, content), xxh3_128(content.data(), content.size()), path});
}

}  // namespace

std::shared_ptr<const NamedTuning> read_tuning(const Session& session) {
  const std::string& path = session.settings().device.tuning;
  return applies(session) ? named(path, text_of(path)) : nullptr;
}

void agree_tuning(Session& session) {
  const std::string& path = session.settings().device.tuning;
  if (!applies(session)) {
    if (!path.empty()) log_info(text("device.tuning = ", path, " is for device.kind = cuda: not used"));
    return;
  }
  std::string content;
  guarded(session.comm, [&] {
    if (session.comm.rank() == 0) content = text_of(path);
  });
  content = broadcast_text(session.comm, content);
  guarded(session.comm, [&] { session.tuning = named(path, content); });
}

void record_tuning(const Session& session, std::map<std::string, std::string>& extra) {
  extra.erase(tuning_record_name);
  if (session.tuning) extra[tuning_record_name] = session.tuning->record();
}

void use_tuning(const Session& session, ComputeDevice& device) {
  if (!session.tuning || !device.gpu()) return;
  device.gpu()->use_tuning(session.tuning->tuning);
  log_info(text("Products by the tuning file ", session.tuning->path, " (", session.tuning->tuning.products.size(), " of them, ",
                session.tuning->hash, ")"));
}

}  // namespace strata
