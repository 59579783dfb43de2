// strata measure: what this node, or an allocation of nodes, can do; writes the machine file.
#include <sys/sysinfo.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "commands/attention_source.hpp"
#include "commands/measure_gpu.hpp"
#include "commands/measure_ops.hpp"
#include "commands/measure_report.hpp"
#include "commands/measured_products.hpp"
#include "commands/preflight.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"
#include "strata/base/version.hpp"
#include "strata/comm/gpu_communicator.hpp"
#include "strata/deck/machine_file.hpp"
#include "strata/deck/tuning_file.hpp"
#include "strata/device/op_times.hpp"
#include "strata/device/peaks.hpp"
#include "strata/io/disk_rate.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

// Among measured_products().
constexpr std::size_t peak_of_f32 = 0, peak_of_bf16 = 1, peak_of_f64 = 2;

std::int64_t physical_memory() {
  struct sysinfo info {};
  return sysinfo(&info) == 0 ? static_cast<std::int64_t>(info.totalram) * static_cast<std::int64_t>(info.mem_unit) : 0;
}

/// What one rank found; handed round as plain numbers.
struct RankRates {
  double sharing = 1;  // ranks that have this GPU
  double gpus = 0, gpu_memory = 0, to_gpu = 0, from_gpu = 0;
  double threads = 0, cores = 0, memory = 0, clock = 0, loaded_clock = 0, pool = 0;
  double read = 0, copy = 0, triad = 0;
  double disk_write = 0, disk_read = 0;
  double products[20][4] = {};  // best, median, early, late
  double ops[480] = {};
};

class MeasureCommand {
 public:
  explicit MeasureCommand(Session& session)
      : session_(session), c_(session.settings().measure), comm_(session.comm), ops_(ops_of_deck(session)) {
    guarded(comm_, [&] { device_.emplace(device_of(session), threads_of(session), comm_.local_rank(), comm_.local_size()); });
    shapes_ = measured_products(gpu());
    stream_.emplace(device_->stream());
    stream_->use_attention(attention_kernels(session.settings(), device_of(session)));
    gpu_ranks_ = gpu_communicator_over(comm_, gpu());
    STRATA_ASSERT(shapes_.size() <= std::size(RankRates{}.products), shapes_.size(), " products");
    STRATA_ASSERT(ops_.size() <= std::size(RankRates{}.ops), ops_.size(), " ops");
  }

  int run() {
    log_info(build_text());
    log_info(text(comm_.size(), comm_.size() == 1 ? " rank" : " ranks", " of ", pool().threads(), " threads, about ", c_.seconds, " s"));
    log_info("Device: " + device_->describe());
    RankRates mine;
    count_gpus(mine);
    measure_compute(mine);
    measure_ops(mine);
    std::vector<AttentionTimes> attention;
    guarded(comm_, [&] {
      if (gpu()) attention = attention_times(*stream_, ops_, 0.1 * c_.seconds);
    });
    measure_memory(mine);
    measure_disk(mine);
    Measurement found = put_together(mine);
    found.attention = std::move(attention);
    measure_links(found);
    found.machine.measured = text(wall_clock_text(), ", Strata ", version());
    const std::optional<Tuning> tuning = tune(found.machine.measured);
    guarded(comm_, [&] {
      if (comm_.rank() == 0) say(found, tuning);
    });
    return static_cast<int>(ExitCode::done);
  }

 private:
  // With a deck that names a model and a batch, those of its own step: what is foreseen of it is then best.
  static std::vector<MeasuredOp> ops_of_deck(const Session& session) {
    const Settings& s = session.settings();
    if (!names_a_run(s)) return ops_to_measure(s.measure.seconds);
    const auto model = make_model(s.model.config);
    const auto ranks = make_plan_communicator(session.comm.size(), session.comm.local_size());
    std::vector<MeasuredOp> ops = ops_of(plan_training(*ranks, *model, train_shape(s, ranks->size()), threads_of(session)));
    if (ops.size() > std::size(RankRates{}.ops)) ops.resize(std::size(RankRates{}.ops));
    return ops;
  }

  Gpu* gpu() const { return device_->gpu(); }
  ThreadPool& pool() { return device_->pool(); }

  void measure_compute(RankRates& mine) {
    const auto peak_time = 0.04 * c_.seconds, time = 0.1 * c_.seconds / static_cast<double>(shapes_.size());
    mine.threads = pool().threads(), mine.cores = default_threads(1), mine.memory = static_cast<double>(physical_memory());
    mine.clock = clock_rate(pool());
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      comm_.barrier();
      ProductRate rate;
      guarded(comm_, [&] { rate = product_rate(*stream_, shapes_[i], i <= peak_of_f64 ? peak_time : time); });
      if (i == peak_of_bf16 && !gpu()) mine.loaded_clock = clock_rate(pool());
      const double values[] = {rate.best, rate.median, rate.early, rate.late};
      std::copy_n(values, 4, mine.products[i]);
    }
    log_info("Products measured");
  }

  void measure_ops(RankRates& mine) {
    std::optional<OpRates> rates;
    guarded(comm_, [&] { rates.emplace(*stream_, OpRates::memory_for(ops_)); });
    const double time = 0.35 * c_.seconds / static_cast<double>(ops_.size());
    comm_.barrier();
    guarded(comm_, [&] {
      for (std::size_t i = 0; i < ops_.size(); ++i) mine.ops[i] = rates->rate(ops_[i], time);
    });
    log_info(text(ops_.size(), " ops measured"));
  }

  void measure_memory(RankRates& mine) {
    comm_.barrier();
    guarded(comm_, [&] {
      if (gpu()) return measure_gpu(mine);
      // The three arrays of all ranks of a host are half as large again as its caches; a short measurement takes less.
      const std::int64_t most = static_cast<std::int64_t>(c_.seconds * (1 << 28)), bytes = beyond_caches() / 2 / comm_.local_size();
      const MemoryRate rate = memory_rate(pool(), std::min(bytes, most), 0.12 * c_.seconds);
      mine.read = rate.read, mine.copy = rate.copy, mine.triad = rate.triad;
    });
    mine.pool = pool_latency(pool(), 0.02 * c_.seconds);
    log_info("Memory measured");
  }

  void measure_gpu(RankRates& mine) {
    const MemoryRate rate = gpu_memory_rate(*stream_, 0.08 * c_.seconds);
    mine.read = rate.read, mine.copy = rate.copy, mine.triad = rate.triad;
    const CopyRates copies = gpu_copy_rates(*gpu(), 0.04 * c_.seconds);
    mine.to_gpu = copies.to_gpu, mine.from_gpu = copies.from_gpu;
    mine.gpu_memory = static_cast<double>(gpu()->facts().memory_bytes);
  }

  // How many ranks have this one's GPU, and how many GPUs its host has: those this process sees, or those its ranks have.
  void count_gpus(RankRates& mine) {
    if (!gpu()) return;
    const std::vector<std::string> names = gpu_names(comm_, *gpu());
    std::set<std::string> here;
    for (int r = 0; r < comm_.size(); ++r)
      if (comm_.host_of(r) == comm_.host()) here.insert(names[static_cast<std::size_t>(r)]);
    const std::string& own = names[static_cast<std::size_t>(comm_.rank())];
    mine.sharing = static_cast<double>(std::count(names.begin(), names.end(), own));
    mine.gpus = std::max(static_cast<double>(here.size()), static_cast<double>(gpu()->facts().devices));
  }

  // The products of the deck's own step.
  std::optional<Tuning> tune(const std::string& measured) {
    if (!gpu()) return std::nullopt;
    if (!names_a_run(session_.settings())) {
      log_info("No tuning file: the deck names no model and batch whose products it would hold");
      return std::nullopt;
    }
    stream_.reset();
    Tuning tuning = tune_run(session_, *device_, *gpu_ranks_, 0.3 * c_.seconds);
    tuning.measured = measured;
    log_info(text(tuning.products.size(), " products tuned"));
    return tuning;
  }

  // One rank of each host: a disk is the host's.
  void measure_disk(RankRates& mine) {
    guarded(comm_, [&] {
      if (comm_.local_rank() != 0) return;
      make_folders(c_.folder);
      const DiskRate rate = disk_rate(c_.folder, std::int64_t{4} << 30, 0.1 * c_.seconds);
      mine.disk_write = rate.write, mine.disk_read = rate.read;
    });
    log_info("Disk measured in " + c_.folder);
  }

  void add_rank(HostRates& host, const RankRates& r) const {
    Machine& m = host.machine;
    host.ranks += 1;
    m.cores = std::min(m.cores + static_cast<std::int64_t>(r.threads), static_cast<std::int64_t>(r.cores)),
    m.memory_bytes = static_cast<std::int64_t>(r.memory);
    // Ranks of a host add up; of GPUs the slowest counts, where ranks share one with what they have together.
    const auto join = [&](double& rate, double value) {
      const double whole = value * r.sharing;
      rate = !gpu() ? rate + value : host.ranks == 1 ? whole : std::min(rate, whole);
    };
    if (gpu()) {
      m.gpu = gpu()->facts().name, m.gpus = static_cast<std::int64_t>(r.gpus), m.gpu_memory_bytes = static_cast<std::int64_t>(r.gpu_memory);
      join(m.to_gpu_gbs, r.to_gpu * 1e-9), join(m.from_gpu_gbs, r.from_gpu * 1e-9);
    }
    join(m.read_gbs, r.read * 1e-9), join(m.copy_gbs, r.copy * 1e-9), join(m.triad_gbs, r.triad * 1e-9);
    m.pool_us = std::max(m.pool_us, r.pool * 1e6);
    m.disk_write_gbs = std::max(m.disk_write_gbs, r.disk_write * 1e-9), m.disk_read_gbs = std::max(m.disk_read_gbs, r.disk_read * 1e-9);
    const auto slower = [](double a, double b) { return a == 0 ? b : std::min(a, b); };
    m.clock_mhz = slower(m.clock_mhz, r.clock * 1e-6), m.loaded_clock_mhz = slower(m.loaded_clock_mhz, r.loaded_clock * 1e-6);
    host.products.resize(shapes_.size());
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      MeasuredProduct& p = host.products[i];
      p.name = shapes_[i].name(), p.long_run = i <= peak_of_f64;
      join(p.best, r.products[i][0]), join(p.median, r.products[i][1]);
      join(p.early, r.products[i][2]), join(p.late, r.products[i][3]);
      m.products[p.name] = p.median * 1e-9;
    }
    for (std::size_t i = 0; i < ops_.size(); ++i)
      if (r.ops[i] > 0) join(m.ops[op_name(ops_[i].op, ops_[i].sizes)], r.ops[i] * 1e-9);
    m.fp32_gflops = host.products[peak_of_f32].best * 1e-9, m.bf16_gflops = host.products[peak_of_bf16].best * 1e-9;
    m.fp64_gflops = host.products[peak_of_f64].best * 1e-9;
  }

  Measurement put_together(const RankRates& mine) {
    std::vector<RankRates> all(static_cast<std::size_t>(comm_.size()));
    comm_.all_gather(&mine, sizeof mine, all.data());
    const std::vector<std::string> processors = all_gather_text(comm_, processor_text());
    Measurement found;
    for (int r = 0; r < comm_.size(); ++r) {
      const auto at = static_cast<std::size_t>(r);
      auto host = std::find_if(found.hosts.begin(), found.hosts.end(), [&](const HostRates& h) { return h.host == comm_.host_of(r); });
      if (host == found.hosts.end()) {
        host = found.hosts.insert(host, HostRates{comm_.host_of(r), 0, {}, {}});
        host->machine.name = host->host, host->machine.processor = processors[at];
      }
      add_rank(*host, all[at]);
    }
    found.machine = median_machine(found.hosts);
    found.warnings = slow_hosts(found.hosts);
    return found;
  }

  void measure_links(Measurement& found) {
    Communicator& ranks = gpu_ranks_ ? *gpu_ranks_ : comm_;
    found.links = link_rates(ranks, 64, gpu());
    Machine& m = found.machine;
    const auto slower_of = [](double a, double b, bool larger) { return a == 0 ? b : larger ? std::max(a, b) : std::min(a, b); };
    for (const LinkRate& link : found.links) {
      found.link_names.push_back(text(comm_.host_of(link.from), " rank ", link.from, " -> ", comm_.host_of(link.to), " rank ", link.to));
      double& latency = link.same_host ? m.host_latency_us : m.network_latency_us;
      double& bandwidth = link.same_host ? m.host_gbs : m.network_gbs;
      latency = slower_of(latency, link.latency * 1e6, true), bandwidth = slower_of(bandwidth, link.bandwidth * 1e-9, false);
    }
    m.gather_gbs = gather_rate(ranks, std::int64_t{4} << 20, gpu()) * 1e-9;
    m.gather_ranks = comm_.size() > 1 ? comm_.size() : 0;
  }

  void say(const Measurement& found, const std::optional<Tuning>& tuning) const {
    const std::filesystem::path path =
        c_.output.empty() ? std::filesystem::path("input") / "machines" / (comm_.host() + ".in") : std::filesystem::path(c_.output);
    std::vector<TextFile> files{{path, machine_text(found.machine)}};
    if (tuning) {
      const auto beside = std::filesystem::path(path).replace_extension(".tuning");
      files.push_back({c_.tuning.empty() ? beside : std::filesystem::path(c_.tuning), tuning_text(*tuning)});
    }
    for (const TextFile& file : files)
      if (file.path.has_parent_path()) make_folders(file.path.parent_path());
    write_texts_atomically(files);
    std::printf("%s", session_.line.json ? measurement_json(found).c_str() : measurement_text(found).c_str());
    log_info("Machine file " + path.string() + " written");
    if (tuning) log_info(text("Tuning file ", files.back().path.string(), " written: ", tuning_summary(*tuning)));
  }

  Session& session_;
  const MeasureConfig& c_;
  Communicator& comm_;
  std::vector<MeasuredOp> ops_;
  std::vector<ProductShape> shapes_;
  std::optional<ComputeDevice> device_;
  std::optional<Stream> stream_;             // before the device it runs on is gone
  std::unique_ptr<Communicator> gpu_ranks_;  // where the device is a GPU
};

}  // namespace

int run_measure(Session& session) {
  agree_device(session);
  log_device(session);
  return MeasureCommand(session).run();
}

}  // namespace strata
