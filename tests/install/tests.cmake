# The installed tree from outside; sanitized libraries would need the consumer to be built with the same sanitizer.
if(NOT TENON_SANITIZE AND NOT TENON_COVERAGE)
    add_test(NAME install COMMAND ${CMAKE_SOURCE_DIR}/tests/install/run.sh ${CMAKE_BINARY_DIR})
    set_tests_properties(install PROPERTIES LABELS install TIMEOUT 300)
endif()
