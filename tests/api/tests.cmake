add_test(NAME test_cli COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/api/test_cli.py $<TARGET_FILE:tenon> ${CMAKE_CURRENT_SOURCE_DIR}/fixtures)
set_tests_properties(test_cli PROPERTIES LABELS api TIMEOUT 300)
