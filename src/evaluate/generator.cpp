#include "strata/evaluate/generator.hpp"

#include <algorithm>
#include <optional>

#include "strata/evaluate/sampler.hpp"
#include "strata/evaluate/stop.hpp"
#include "strata/tensor/random.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {

// Memory of a prompt's pass, carved anew for each prompt's length.
CausalLm::Activations take_prefill(Arena& arena, const CausalLm& model, std::int64_t S, DType compute) {
  return model.take_activations(arena, {1, S}, compute, CausalLm::PassKind::evaluate, false);
}

struct Buffers {
  WeightStore store;
  CausalLm::Decoder decoder;
  View prefill;  // bytes
  Buffers(Arena& arena, const CausalLm& model, DType compute, std::int64_t batch, std::int64_t capacity, std::int64_t prefill_bytes)
      : store(WeightStore::take(arena, compute, model.parameters(), false)),
        decoder(model.take_decoder(arena, batch, capacity, compute)),
        prefill(take(arena, "activations.prefill", DType::u8, Shape{prefill_bytes})) {}
};

// One place of the batch: the prompt it continues and what came so far.
struct Slot {
  std::size_t prompt = 0;
  std::vector<TokenId> history;  // prompt and continuation, for the repetition penalty
  Generation result;
  std::unique_ptr<StreamingDecoder> decoder;
  std::optional<StopText> stop;
  bool busy = false;
};

}  // namespace

struct Generator::State {
  ComputeDevice& device;
  const CausalLm& model;
  DType compute;
  GenerateConfig config;
  std::int64_t longest, capacity, workspace = 0, bytes = 0, prefill_bytes = 0;
  std::optional<Arena> arena;
  std::optional<Buffers> buffers;
  std::optional<Stream> stream;
  std::vector<TokenId> ends;
  std::vector<float> logits;
  std::vector<std::int32_t> ids, positions;  // of each place's next step

  State(ComputeDevice& d, const CausalLm& m, DType type, const GenerateConfig& c, std::int64_t longest_prompt)
      : device(d), model(m), compute(type), config(c), longest(longest_prompt), capacity(longest_prompt + c.max_new_tokens) {
    model.config().check_sequence(capacity);
    plan();
    arena.emplace(device.arena(bytes, 0));
    buffers.emplace(*arena, model, compute, config.batch, capacity, prefill_bytes);
    stream.emplace(device.stream(*arena, workspace));
    STRATA_ASSERT(arena->used() == bytes, "planned ", bytes, " bytes, took ", arena->used());
    model.prepare(buffers->decoder);
  }

  void plan() {
    Arena prefill_arena;
    Stream planning = Stream::plan(device.kind());
    CausalLm::Activations prefill = take_prefill(prefill_arena, model, longest, compute);
    prefill_bytes = prefill_arena.used();
    Arena whole;
    Buffers all(whole, model, compute, config.batch, capacity, prefill_bytes);
    Context context{planning, all.store.weight};
    model.prefill(context, prefill, all.decoder, 0);
    model.decode(context, all.decoder, config.batch);
    workspace = planning.largest_workspace();
    Stream::plan_memory(whole, device.kind(), device.pool().threads(), workspace);
    bytes = whole.used();
  }

  void prefill(std::int64_t slot, const std::vector<TokenId>& prompt) {
    Arena memory(buffers->prefill.data(), prefill_bytes);
    CausalLm::Activations pass = take_prefill(memory, model, static_cast<std::int64_t>(prompt.size()), compute);
    model.prepare(pass);
    set_values(pass.inputs, std::vector<std::int32_t>(prompt.begin(), prompt.end()));
    Context context{*stream, buffers->store.weight};
    model.prefill(context, pass, buffers->decoder, slot);
  }

  std::span<const float> logits_of(std::int64_t slot) {
    const View row = buffers->decoder.logits.rows(slot, 1);
    if (row.type() == DType::f32) {
      if (!gpu_of(row.data())) return {row.as<float>(), static_cast<std::size_t>(row.elements())};
      logits = values_of<float>(row);
    } else {
      const std::vector<double> wide = values_of<double>(row);
      logits.assign(wide.begin(), wide.end());
    }
    return logits;
  }

  /// One step for the first `rows` places, each at its own token and position.
  void decode(std::int64_t rows) {
    CausalLm::Decoder& d = buffers->decoder;
    const auto count = static_cast<std::size_t>(rows);
    std::vector<std::int32_t> lengths(count);
    for (std::size_t b = 0; b < count; ++b) lengths[b] = positions[b] + 1;
    set_values(d.ids.rows(0, rows), std::span<const std::int32_t>(ids).first(count));
    set_values(d.positions.rows(0, rows), std::span<const std::int32_t>(positions).first(count));
    set_values(d.lengths.rows(0, rows), lengths);
    Context context{*stream, buffers->store.weight};
    model.decode(context, d, rows);
  }

  bool ends_text(TokenId id) const { return std::find(ends.begin(), ends.end(), id) != ends.end(); }
};

Generator::Generator(ComputeDevice& device, const CausalLm& model, DType compute, const GenerateConfig& config, std::int64_t longest_prompt)
    : state_(std::make_unique<State>(device, model, compute, config, longest_prompt)) {}
Generator::~Generator() = default;
const WeightStore& Generator::weights() const {
  return state_->buffers->store;
}
Stream& Generator::stream() {
  return *state_->stream;
}
std::int64_t Generator::memory_bytes() const {
  return state_->bytes;
}

namespace {

// Takes the next token of a slot; true if the continuation goes on.
bool advance(Slot& slot, TokenId id, bool ends_text, std::int64_t most) {
  if (ends_text) {
    slot.result.reason = "eos";
    return false;
  }
  slot.result.ids.push_back(id);
  slot.history.push_back(id);
  if (slot.stop) {
    slot.result.text += slot.stop->feed(slot.decoder->push(id));
    if (slot.stop->found()) {
      slot.result.reason = "stop";
      return false;
    }
  }
  slot.result.reason = "length";
  return static_cast<std::int64_t>(slot.result.ids.size()) < most;
}

// What the decoder and the stop search still held back.
void complete_text(Slot& slot) {
  if (!slot.stop || slot.stop->found()) return;
  slot.result.text += slot.stop->feed(slot.decoder->finish());
  if (!slot.stop->found()) slot.result.text += slot.stop->finish();
  if (slot.stop->found()) slot.result.reason = "stop";
}

}  // namespace

std::vector<Generation> Generator::run(const std::vector<std::vector<TokenId>>& prompts, const Tokenizer* tokenizer, std::uint64_t seed,
                                       const std::function<void(std::size_t, const Generation&)>& finished) {
  State& s = *state_;
  const GenerateConfig& c = s.config;
  s.ends.assign(s.model.config().eos.begin(), s.model.config().eos.end());
  if (tokenizer && tokenizer->eos()) s.ends.push_back(*tokenizer->eos());
  Sampler sampler({c.temperature, c.top_p, c.min_p, c.repetition_penalty, c.top_k});
  std::vector<Generation> results(prompts.size());
  std::vector<Slot> slots(static_cast<std::size_t>(std::min<std::int64_t>(c.batch, static_cast<std::int64_t>(prompts.size()))));
  std::size_t next_prompt = 0;
  s.ids.assign(slots.size(), 0), s.positions.assign(slots.size(), 0);

  // The next token of a slot from its row of logits; ends the slot where its continuation ends.
  const auto take_token = [&](std::int64_t b) {
    Slot& slot = slots[static_cast<std::size_t>(b)];
    const double u = random_uniform(seed, RandomPurpose::sampling, slot.prompt, slot.history.size());
    const TokenId id = sampler.sample(s.logits_of(b), slot.history, u);
    if (advance(slot, id, s.ends_text(id), c.max_new_tokens)) {
      s.ids[static_cast<std::size_t>(b)] = static_cast<std::int32_t>(id);
      s.positions[static_cast<std::size_t>(b)] = static_cast<std::int32_t>(slot.history.size()) - 1;
      return;
    }
    complete_text(slot);
    results[slot.prompt] = slot.result;
    if (finished) finished(slot.prompt, slot.result);
    slot.busy = false;
  };
  const auto fill_slots = [&] {
    for (std::size_t b = 0; b < slots.size(); ++b)
      while (!slots[b].busy && next_prompt < prompts.size()) {
        STRATA_ASSERT(!prompts[next_prompt].empty() && static_cast<std::int64_t>(prompts[next_prompt].size()) <= s.longest, "prompt ",
                      next_prompt, " has ", prompts[next_prompt].size(), " tokens");
        slots[b] = Slot{};
        slots[b].prompt = next_prompt, slots[b].history = prompts[next_prompt], slots[b].busy = true;
        if (tokenizer) slots[b].decoder = std::make_unique<StreamingDecoder>(*tokenizer, true), slots[b].stop.emplace(c.stop);
        s.prefill(static_cast<std::int64_t>(b), prompts[next_prompt++]);
        take_token(static_cast<std::int64_t>(b));
      }
  };

  for (fill_slots(); std::any_of(slots.begin(), slots.end(), [](const Slot& slot) { return slot.busy; }); fill_slots()) {
    // Places at the end that are free are left out; free ones between go along with their last token.
    std::int64_t rows = static_cast<std::int64_t>(slots.size());
    while (!slots[static_cast<std::size_t>(rows - 1)].busy) --rows;
    s.decode(rows);
    for (std::int64_t b = 0; b < rows; ++b)
      if (slots[static_cast<std::size_t>(b)].busy) take_token(b);
  }
  return results;
}

}  // namespace strata
