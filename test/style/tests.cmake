# Checks of the source tree itself. Without Python 3 they are reported as not run, never as passed.
find_program(STRATA_PYTHON3 python3)
add_test(NAME style.rooms COMMAND ${STRATA_PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/style/check_rooms.py --root ${PROJECT_SOURCE_DIR})
add_test(NAME style.rooms_self_test COMMAND ${STRATA_PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/style/check_rooms.py --self-test)
set_tests_properties(style.rooms style.rooms_self_test PROPERTIES LABELS unit TIMEOUT 60)
if(NOT STRATA_PYTHON3)
  set_tests_properties(style.rooms style.rooms_self_test PROPERTIES DISABLED TRUE)
endif()
