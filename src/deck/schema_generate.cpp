// Keys of [generate]: prompts, sampling and output.
#include "deck/schema.hpp"

namespace strata::deck {

Section schema_generate() {
  using C = GenerateConfig;
  Table<C> table("generate", "Continuing prompts.", &Settings::generate);
  table.row("checkpoint", &C::checkpoint, Text(), "", "A checkpoint or a folder of checkpoints; empty: model.weights.");
  table.row("prompts", &C::prompts, Text(), "", "A file with one prompt per line, or the prompt itself.").required({"generate"});
  table.row("max_new_tokens", &C::max_new_tokens, Whole::between(1, 1u << 24), "tokens", "Longest continuation.");
  table.row("temperature", &C::temperature, Real::at_least(0), "1", "Divides the logits; 0: the likeliest token every time.");
  table.row("top_k", &C::top_k, Whole::at_least(0), "tokens", "Choose among this many likeliest tokens; 0: all.");
  table.row("top_p", &C::top_p, Real::above_up_to(0, 1), "1", "Choose among the likeliest tokens that together have this probability.");
  table.row("min_p", &C::min_p, Real::between(0, 1), "1", "Leave out tokens below this share of the likeliest one's probability; 0: none.");
  table.row("repetition_penalty", &C::repetition_penalty, Real::above(0), "1", "Above 1 makes tokens that are there already less likely.");
  table.row("stop", &C::stop, Texts(), "", "Texts that end a continuation.");
  table.row("batch", &C::batch, Whole::between(1, 1u << 16), "prompts", "Prompts at a time.");
  table.row("output", &C::output, Text(), "", "JSON lines file to write; empty: in samples/ of run.folder.");
  return table.done();
}

}  // namespace strata::deck
