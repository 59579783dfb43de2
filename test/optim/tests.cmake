strata_add_test(FILE optim/test_schedule.cpp LABELS unit TIMEOUT 60 LIBRARIES nlohmann_json::nlohmann_json)
strata_add_test(FILE optim/test_clip.cpp LABELS unit TIMEOUT 60)
strata_add_test(FILE optim/test_loss_scale.cpp LABELS unit TIMEOUT 60)
