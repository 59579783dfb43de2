# A small run for tests of whole commands, to be sourced in an empty folder with $strata set: text.txt, config.json (a Qwen3 of 2 blocks), llama.json
# (the same size, its head not tied), t.in and the prepared token files.
awk 'BEGIN { srand(1); for (d = 0; d < 200; d++) { for (w = 0; w < 60; w++) printf "%s ", substr("thequickbrownfoxjumpsoverthelazydog", 1 + int(rand() * 28), 2 + int(rand() * 5)); print "\n%" } }' >text.txt
cat >config.json <<'JSON'
{"model_type": "qwen3", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
 "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "rope_theta": 10000, "eos_token_id": 2}
JSON
cat >t.in <<'DECK'
[model]
config = config.json
[tokenizer]
path = tokenizer.model
train = true
kind = bpe
vocabulary = 300
[prepare]
input = text.txt
documents = between:%
output = train.h5
validation_output = valid.h5
split = 0.1
[data]
train = train.h5
validation = valid.h5
sequence = 16
[batch]
global = 12
micro = 2
[train]
max_steps = 1000000
validate_every = 7
validation_sequences = 8
[schedule]
kind = cosine
steps = 1000000
[checkpoint]
every = 3
keep = 2
[device]
threads = 1
DECK
"$strata" prepare t.in >prepare.log 2>&1 || { cat prepare.log >&2; exit 1; }
sed 's/"qwen3"/"llama"/; s/"tie_word_embeddings": true/"tie_word_embeddings": false/' config.json >llama.json
