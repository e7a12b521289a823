# Random graphs over the table of operators: some hundred in every run of the tests, any number by hand.
file(GLOB RANDOM_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/random/*.c)
if(TARGET tenonc)
    add_executable(test_random_graphs ${RANDOM_SOURCES})
    target_link_libraries(test_random_graphs PRIVATE tenonc tenon_static PkgConfig::XXHASH m)
    add_test(NAME random_graphs COMMAND test_random_graphs 1 600)
    set_tests_properties(random_graphs PROPERTIES LABELS random TIMEOUT 600)
endif()
