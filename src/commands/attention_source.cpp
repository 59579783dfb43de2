#include "commands/attention_source.hpp"

#include "commands/model_source.hpp"
#include "strata/base/log.hpp"
#include "strata/ops/cudnn_attention.hpp"

namespace strata {
namespace {

constexpr const char* asked = "device.attention = cudnn";

bool asks(const Session& session) {
  return attention_kernels(session.settings(), device_of(session)) == AttentionKernels::cudnn;
}

// What deck and model say, on any machine.
std::string deck_refusal(const Settings& s, const AttentionSizes& attention, PassKind pass) {
  if (s.precision.compute != "bf16" && s.precision.compute != "fp16")
    return text("cuDNN's attention computes in bf16 and fp16, and there is precision.compute = ", s.precision.compute);
  if (attention.hd % 8 != 0 || attention.hd > 128)
    return text("this model's attention heads have ", attention.hd, " elements, cuDNN's kernels take multiples of 8 up to 128");
  if (attention.causal && s.data.mask_documents)
    return "with data.mask_documents = true keys are hidden inside a sequence, which our own kernels do";
  if (attention.dropout > 0 && pass == PassKind::train)
    return text("this model drops probabilities of attention in training (", attention.dropout, "), which our own kernels do");
  return "";
}

}  // namespace

AttentionKernels attention_kernels(const Settings& settings, DeviceKind device) {
  return device == DeviceKind::cuda && settings.device.attention == "cudnn" ? AttentionKernels::cudnn : AttentionKernels::own;
}

std::string attention_refusal(const Session& session, const Model& model, Gpu* gpu, PassKind pass) {
  if (!asks(session)) return "";
  const Settings& s = session.settings();
  const AttentionSizes sizes = model.attention();
  std::string why = deck_refusal(s, sizes, pass);
  const AttentionRun run{compute_type(session), s.batch.micro,          s.data.sequence, sizes.nh, sizes.nkv, sizes.hd,
                         sizes.causal,          pass == PassKind::train};
  if (why.empty() && gpu) why = cudnn_attention_refusal(gpu, &run);
  return why.empty() ? "" : text(asked, ": ", why);
}

void use_attention(const Session& session, const Model& model, const ComputeDevice& device, PassKind pass) {
  if (session.settings().device.attention == "cudnn" && !device.gpu()) log_info(text(asked, " is for device.kind = cuda: not used"));
  if (!asks(session) || !device.gpu()) return;
  if (const std::string why = attention_refusal(session, model, device.gpu(), pass); !why.empty())
    throw DeckError(why + "; use device.attention = own");
  log_info(text("Attention by cuDNN ", cudnn_attention_version(), ", whose bits are others than those of our own kernels"));
}

void require_one_attention(const Session& session, const std::string& words) {
  const std::vector<std::string> all = all_gather_text(session.comm, words);
  for (int r = 1; r < session.comm.size(); ++r) {
    const std::string& other = all[static_cast<std::size_t>(r)];
    if (other == all[0]) continue;
    DeckError error(text(asked, ": rank 0 on ", session.comm.host_of(0), " has ", all[0], ", rank ", r, " on ", session.comm.host_of(r),
                         " has ", other, ", expected one version on all; use device.attention = own"));
    error.set_on_all_ranks();
    throw error;
  }
}

void record_attention(const Session& session, std::map<std::string, std::string>& extra) {
  extra.erase(attention_record_name);
  if (asks(session)) extra[attention_record_name] = attention_words();
}

std::string attention_words() {
  return text("cudnn ", cudnn_attention_version());
}

}  // namespace strata
