// Rows of all ranks put together, and what is lost against the floor.
#include "strata/train/profile.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>

#include "strata/base/error.hpp"

namespace strata {
namespace {

std::string packed(const ProfileRows& rows) {
  std::string result;
  char line[200];
  for (const auto& [name, row] : rows) {
    std::snprintf(line, sizeof line, "%s\t%lld %.17g %.17g %.17g\n", name.c_str(), static_cast<long long>(row.calls), row.seconds,
                  row.flops, row.bytes);
    result += line;
  }
  return result;
}

void add_rank(const std::string& rows, int rank, std::map<std::string, ProfileLine>& lines) {
  std::istringstream in(rows);
  for (std::string name; std::getline(in, name, '\t');) {
    double calls = 0, seconds = 0, flops = 0, bytes = 0;
    in >> calls >> seconds >> flops >> bytes;
    in.ignore(1);
    ProfileLine& line = lines[name];
    line.name = name;
    line.calls += calls, line.seconds += seconds, line.flops += flops, line.bytes += bytes;
    if (seconds > line.slowest) line.slowest = seconds, line.slowest_rank = rank;
  }
}

/// What could be won: the time beyond the floor.
double lost(const ProfileLine& line) {
  return line.seconds - line.floor;
}

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

std::string number(const char* form, double value, bool given = true) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, form, value);
  return given ? buffer : "";
}

}  // namespace

Profile gather_profile(Communicator& comm, const ProfileRows& rows, std::int64_t steps, const Peaks& peaks) {
  const std::vector<std::string> all = all_gather_text(comm, packed(rows));
  std::map<std::string, ProfileLine> lines;
  for (int r = 0; r < comm.size(); ++r) add_rank(all[static_cast<std::size_t>(r)], r, lines);
  Profile profile{steps, 0, comm.size(), peaks, {}};
  const double n = static_cast<double>(std::max<std::int64_t>(steps, 1)), per_rank = n * comm.size();
  for (auto& [name, line] : lines) {
    line.calls /= per_rank, line.seconds /= per_rank, line.flops /= per_rank, line.bytes /= per_rank, line.slowest /= n;
    line.floor = std::max(ratio(line.flops, peaks.flops), ratio(line.bytes, peaks.bytes));
    profile.step_seconds += line.seconds;
    profile.lines.push_back(line);
  }
  for (ProfileLine& line : profile.lines) line.share = ratio(line.seconds, profile.step_seconds);
  std::stable_sort(profile.lines.begin(), profile.lines.end(),
                   [](const ProfileLine& a, const ProfileLine& b) { return lost(a) > lost(b); });
  return profile;
}

std::string profile_table(const Profile& p) {
  char buffer[320];
  std::snprintf(buffer, sizeof buffer,
                "Profile of %lld steps of %.2f ms; floors from %.1f GFLOP/s and %.1f GB/s per rank (%s); what loses most first\n"
                "  %-30s %9s %11s %6s %9s %8s %10s %7s%s\n",
                static_cast<long long>(p.steps), p.step_seconds * 1e3, p.peaks.flops * 1e-9, p.peaks.bytes * 1e-9, p.peaks.source.c_str(),
                "op", "calls", "ms/step", "share", "GFLOP/s", "GB/s", "floor ms", "x floor", p.ranks > 1 ? "   slowest rank" : "");
  std::string table = buffer;
  double floor = 0;
  for (const ProfileLine& l : p.lines) {
    floor += l.floor;
    std::snprintf(buffer, sizeof buffer, "  %-30s %9.1f %11.3f %5.1f%% %9s %8s %10s %7s", l.name.c_str(), l.calls, l.seconds * 1e3,
                  l.share * 100, number("%.1f", ratio(l.flops, l.seconds) * 1e-9, l.flops > 0).c_str(),
                  number("%.1f", ratio(l.bytes, l.seconds) * 1e-9, l.bytes > 0).c_str(), number("%.3f", l.floor * 1e3, l.floor > 0).c_str(),
                  number("%.2f", ratio(l.seconds, l.floor), l.floor > 0).c_str());
    table += buffer;
    if (p.ranks > 1) table += text("   ", number("%.3f", l.slowest * 1e3), " ms on ", l.slowest_rank);
    table += "\n";
  }
  std::snprintf(buffer, sizeof buffer, "  %-30s %9s %11.3f %5.1f%% %9s %8s %10.3f %7.2f", "step", "", p.step_seconds * 1e3, 100.0, "", "",
                floor * 1e3, ratio(p.step_seconds, floor));
  return table + buffer;
}

std::string profile_csv(const Profile& p) {
  std::string csv = "op,calls_per_step,ms_per_step,share,gflops_per_s,gbytes_per_s,floor_ms,time_over_floor,slowest_ms,slowest_rank\n";
  for (const ProfileLine& l : p.lines) {
    // The only names with a comma are ours, and have no quotes.
    csv += text('"', l.name, '"', ',', number("%.6g", l.calls), ',', number("%.6g", l.seconds * 1e3), ',', number("%.6g", l.share), ',',
                number("%.6g", ratio(l.flops, l.seconds) * 1e-9, l.flops > 0), ',',
                number("%.6g", ratio(l.bytes, l.seconds) * 1e-9, l.bytes > 0), ',', number("%.6g", l.floor * 1e3, l.floor > 0), ',',
                number("%.6g", ratio(l.seconds, l.floor), l.floor > 0), ',', number("%.6g", l.slowest * 1e3), ',', l.slowest_rank, '\n');
  }
  return csv;
}

}  // namespace strata
