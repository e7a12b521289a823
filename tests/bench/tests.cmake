# The instruments themselves, without a look at what they measure: python3 only.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME bench_report COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/bench/report_test.py)
set_tests_properties(bench_report PROPERTIES LABELS bench TIMEOUT 60)
if(TARGET tenon)
    add_test(NAME bench_records COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/tests/bench/records_test.py
        $<TARGET_FILE:tenon> $<TARGET_FILE:bench_kernels> ${CMAKE_SOURCE_DIR}/tests/fixtures)
    set_tests_properties(bench_records PROPERTIES LABELS bench TIMEOUT 300)
endif()
