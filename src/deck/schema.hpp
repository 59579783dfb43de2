#pragma once
// The key table: one row per key, from which parsing, the echo, `strata keys` and doc/deck.md are made.
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deck/forms.hpp"
#include "strata/deck/settings.hpp"

namespace strata::deck {

/// One row.
struct Key {
  std::string section, name, unit, sentence;
  Description form;
  std::vector<std::string> old_names;    // still taken, with a warning
  std::vector<std::string> required_by;  // commands that cannot do without
  bool decides_result = false;
  bool of_launch = false;                                   // says where and how a run is launched, nothing about what it computes
  std::function<std::string(Settings&, const Items&)> set;  // "" or what is wrong; then the settings are as before
  std::function<std::string(const Settings&)> get;          // as a deck would spell it

  std::string full_name() const { return section + "." + name; }
  /// A run that goes on may not change this key.
  Key& fixed() { return decides_result = true, *this; }
  /// Belongs to the launch: left out of what a checkpoint records of the run itself.
  Key& launch() { return of_launch = true, *this; }
  Key& required(std::vector<std::string> commands) { return required_by = std::move(commands), *this; }
  /// A name the key had before.
  Key& was(std::string old_name) { return old_names.push_back(std::move(old_name)), *this; }
};

struct Section {
  std::string name, sentence;
  std::vector<Key> keys;
};

/// Builds a section whose fields lie in the struct C of Settings.
template <class C>
class Table {
 public:
  Table(std::string name, std::string sentence, C Settings::*place) : section_{std::move(name), std::move(sentence), {}}, place_(place) {}

  /// name, field it fills, type and range, unit, one sentence; the default is the field's own.
  template <class T, class Form>
  Key& row(const char* name, T C::*field, Form form, const char* unit, const char* sentence) {
    Key& key = add(name, form.describe(), unit, sentence);
    key.set = [place = place_, field, form](Settings& s, const Items& items) { return form.parse(items, s.*place.*field); };
    key.get = [place = place_, field, form](const Settings& s) { return form.print(s.*place.*field); };
    return key;
  }

  /// Two numbers of one range in two fields.
  Key& pair(const char* name, double C::*first, double C::*second, Real form, const char* unit, const char* sentence) {
    Key& key = add(name, {"two numbers", "each " + form.range(), {}, {}, false}, unit, sentence);
    key.set = [place = place_, first, second, form](Settings& s, const Items& items) -> std::string {
      double a = 0, b = 0;
      if (items.size() != 2 || !form.parse({items[0]}, a).empty() || !form.parse({items[1]}, b).empty()) {
        return expected_found("two numbers, each " + form.range(), items);
      }
      s.*place.*first = a;
      s.*place.*second = b;
      return "";
    };
    key.get = [place = place_, first, second, form](const Settings& s) {
      return form.print(s.*place.*first) + ", " + form.print(s.*place.*second);
    };
    return key;
  }

  Section done() { return std::move(section_); }

 private:
  Key& add(const char* name, Description form, const char* unit, const char* sentence) {
    Key key;
    key.section = section_.name;
    key.name = name;
    key.unit = unit;
    key.sentence = sentence;
    key.form = std::move(form);
    section_.keys.push_back(std::move(key));
    return section_.keys.back();
  }

  Section section_;
  C Settings::*place_;
};

Section schema_run();
Section schema_model();
Section schema_tokenizer();
Section schema_data();
Section schema_prepare();
Section schema_batch();
Section schema_train();
Section schema_optimizer();
Section schema_schedule();
Section schema_precision();
Section schema_parallel();
Section schema_device();
Section schema_checkpoint();
Section schema_evaluate();
Section schema_generate();
Section schema_convert();
Section schema_check();
Section schema_measure();
Section schema_plan();

/// All sections, in the order of a deck.
const std::vector<Section>& schema();
/// nullptr: there is no such section.
const Section* find_section(std::string_view name);
/// By its name or an old name; nullptr: there is no such key.
const Key* find_key(std::string_view section, std::string_view name);
/// By "section.key", current names only; nullptr: there is no such key.
const Key* find_key(std::string_view full_name);
std::vector<std::string> section_names();
std::vector<std::string> key_names(const Section& section);

}  // namespace strata::deck
