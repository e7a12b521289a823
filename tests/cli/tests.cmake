# The command line as its users see it; python3 writes the input files.
if(TARGET tenon)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    add_test(NAME cli_commands COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/cli/commands.py
        $<TARGET_FILE:tenon> ${CMAKE_SOURCE_DIR}/tests/fixtures)
    add_test(NAME cli_unaligned COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/cli/unaligned.py
        $<TARGET_FILE:tenon> ${CMAKE_SOURCE_DIR}/tests/fixtures/bert-sequence-cls ${CMAKE_BINARY_DIR}/cli-unaligned)
    add_test(NAME cli_dump COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/cli/dump.py $<TARGET_FILE:tenon>
        ${CMAKE_SOURCE_DIR}/tests/fixtures ${CMAKE_SOURCE_DIR}/tests/golden/dump)
    add_test(NAME cli_planted COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/cli/planted.py
        $<TARGET_FILE:tenon> ${CMAKE_SOURCE_DIR}/tests/fixtures)
    add_test(NAME cli_profile COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/cli/profile_test.py
        $<TARGET_FILE:tenon> ${CMAKE_SOURCE_DIR}/tests/fixtures)
    add_test(NAME cli_viewer COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/cli/viewer.py $<TARGET_FILE:tenon>
        ${CMAKE_SOURCE_DIR}/tests/fixtures)
    set_tests_properties(cli_commands cli_dump cli_planted cli_profile cli_unaligned cli_viewer PROPERTIES LABELS cli TIMEOUT 300)
endif()
