# The demonstration as a test: both sources compile, both plans agree, and the answers are those PyTorch gives (356 of 360).
if(TARGET tenon)
    add_test(NAME demo COMMAND ${CMAKE_SOURCE_DIR}/examples/digits/demo.sh ${CMAKE_BINARY_DIR} ${CMAKE_BINARY_DIR}/demo)
    set_tests_properties(demo PROPERTIES LABELS examples TIMEOUT 300
        PASS_REGULAR_EXPRESSION "356 of 360 pictures right" FAIL_REGULAR_EXPRESSION "digits_show: ")
endif()
