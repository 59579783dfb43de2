#include "deck/measured_file.hpp"

#include <algorithm>
#include <cstdio>

#include "deck/text_tools.hpp"

namespace strata::deck {

std::set<std::string> read_entries(const std::string& name, const std::string& text, const char* kind,
                                   const std::vector<std::string>& sections, const std::function<std::string(const Entry&)>& read,
                                   Problems& problems) {
  const ScannedDeck scanned = scan_deck({name, text}, process_environment, problems);
  for (const Heading& heading : scanned.headings)
    if (std::find(sections.begin(), sections.end(), heading.name) == sections.end())
      problems.add(heading.where,
                   "[" + printable(heading.name) + "]: no section of a " + kind + "; expected one of " + joined(sections, ", "),
                   heading.line, heading.number);
  std::set<std::string> seen;
  for (const Entry& entry : scanned.entries) {
    const std::string full = entry.section + "." + entry.key;
    std::string complaint;
    if (!seen.insert(full).second) complaint = "is given twice";
    if (complaint.empty() && entry.usable) complaint = read(entry);
    if (!complaint.empty()) problems.add(entry.where, printable(full) + ": " + complaint, entry.line, entry.number);
  }
  return seen;
}

std::string number_text(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return buffer;
}

}  // namespace strata::deck
