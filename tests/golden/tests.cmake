# Listings of plans are printed by the command line's own code.
target_sources(test_golden PRIVATE ${CMAKE_SOURCE_DIR}/tools/plan_text.c)
