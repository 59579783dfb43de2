// Run and launch records to attributes and back; one list of fields serves writing, hashing and reading.
#include "checkpoint/records.hpp"

#include <bit>
#include <cstring>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {
using h5::AttributeSpec;

/// Calls visit(name, field) for every field of a RunRecord (const or not) but `extra`, in the order they are stored and hashed.
template <class Record, class Visit>
void each_run_field(Record& run, const Visit& visit) {
  visit("step", run.step);
  visit("cursor", run.cursor);
  visit("tokens", run.tokens);
  visit("epoch", run.epoch);
  visit("seed", run.seed);
  visit("loss", run.loss);
  visit("validation_loss", run.validation_loss);
  visit("best_metric", run.best_metric);
  visit("best_step", run.best_step);
  visit("bad_validations", run.bad_validations);
  visit("compute", run.compute);
  visit("version", run.version);
  visit("dataset_hash", run.dataset_hash);
  visit("validation_hash", run.validation_hash);
  visit("tokenizer_hash", run.tokenizer_hash);
  visit("model_config", run.model_config);
  visit("deck", run.deck);
}

template <class Record, class Visit>
void each_launch_field(Record& launch, const Visit& visit) {
  visit("ranks", launch.ranks);
  visit("threads", launch.threads);
  visit("strategy", launch.strategy);
  visit("hosts", launch.hosts);
  visit("processor", launch.processor);
  visit("build", launch.build);
  visit("written", launch.written);
  visit("deck", launch.deck);
}

/// HDF5 attributes are signed here; a seed keeps its 64 bits.
h5::AttributeValue value_of(std::int64_t v) {
  return v;
}
h5::AttributeValue value_of(std::uint64_t v) {
  return std::bit_cast<std::int64_t>(v);
}
h5::AttributeValue value_of(double v) {
  return v;
}
h5::AttributeValue value_of(const std::string& v) {
  return v;
}

AttributeSpec attribute(const char* group, const std::string& name, h5::AttributeValue value) {
  if (const auto* content = std::get_if<std::string>(&value))
    STRATA_ASSERT(content->find('\0') == std::string::npos, "the text ", name, " of a checkpoint holds a zero byte");
  return {group, name, std::move(value)};
}

std::vector<AttributeSpec> run_attributes(const RunRecord& run) {
  std::vector<AttributeSpec> result;
  each_run_field(run, [&](const char* name, const auto& field) { result.push_back(attribute(run_group, name, value_of(field))); });
  for (const auto& [name, content] : run.extra) result.push_back(attribute(extra_group, name, content));
  return result;
}

struct ReadField {
  const h5::File& file;
  const char* group;
  void operator()(const char* name, std::int64_t& field) const { field = file.integer(group, name); }
  void operator()(const char* name, std::uint64_t& field) const { field = std::bit_cast<std::uint64_t>(file.integer(group, name)); }
  void operator()(const char* name, double& field) const { field = file.real(group, name); }
  void operator()(const char* name, std::string& field) const { field = file.string(group, name); }
};

template <class T>
void append_bytes(std::string& to, const T& value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  to.append(bytes, sizeof value);
}

}  // namespace

std::string run_hash(const RunRecord& run) {
  std::string all;  // group, name and value of each attribute, texts with their lengths, so that no two records give the same bytes
  for (const AttributeSpec& spec : run_attributes(run)) {
    all.append(spec.object).append(1, '\0').append(spec.name).append(1, '\0').append(1, static_cast<char>('0' + spec.value.index()));
    if (const auto* content = std::get_if<std::string>(&spec.value)) {
      append_bytes(all, static_cast<std::uint64_t>(content->size()));
      all += *content;
    } else if (const auto* real = std::get_if<double>(&spec.value)) {
      append_bytes(all, *real);
    } else {
      append_bytes(all, std::get<std::int64_t>(spec.value));
    }
  }
  return xxh3_128(all.data(), all.size());
}

std::vector<AttributeSpec> checkpoint_attributes(const RunRecord& run, const LaunchRecord& launch) {
  std::vector<AttributeSpec> result = {attribute("/", "format", std::string(checkpoint_format_name)),
                                       attribute("/", "version", static_cast<std::int64_t>(CheckpointVersion::current))};
  for (AttributeSpec& spec : run_attributes(run)) result.push_back(std::move(spec));
  result.push_back(attribute(run_group, "hash", run_hash(run)));
  each_launch_field(launch, [&](const char* name, const auto& field) { result.push_back(attribute(launch_group, name, value_of(field))); });
  return result;
}

void check_format(const h5::File& file) {
  const std::string name = file.path().string();
  if (!file.has_attribute("/", "format") || file.string("/", "format") != checkpoint_format_name)
    throw DataError(
        text(name, ": this HDF5 file is not a Strata checkpoint (its root has no attribute format = \"", checkpoint_format_name, "\")"));
  const std::int64_t version = file.integer("/", "version"), known = static_cast<std::int64_t>(CheckpointVersion::current);
  if (version < 1 || version > known)
    throw DataError(text(name, ": the checkpoint has format version ", version, ", this program reads 1 to ", known,
                         version > known ? ": it was written by a newer Strata" : ""));
}

RunRecord read_run_record(const h5::File& file) {
  RunRecord run;
  each_run_field(run, ReadField{file, run_group});
  if (file.has(extra_group))
    for (const std::string& name : file.attribute_names(extra_group)) run.extra[name] = file.string(extra_group, name);
  if (run_hash(run) != file.string(run_group, "hash"))
    throw DataError(text(file.path().string(), ": the run record under /run does not give its hash: the file is damaged"));
  return run;
}

LaunchRecord read_launch_record(const h5::File& file) {
  LaunchRecord launch;
  each_launch_field(launch, ReadField{file, launch_group});
  return launch;
}

}  // namespace strata
