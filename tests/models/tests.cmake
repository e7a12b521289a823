# What the passes make of every fixture; `scripts/fusion_table.sh tests/fixtures --bless tests/models/fusions.txt` writes
# the table anew, and the diff is the review.
if(TARGET tenon)
    add_test(NAME fusion_table
        COMMAND ${CMAKE_SOURCE_DIR}/scripts/fusion_table.sh ${CMAKE_SOURCE_DIR}/tests/fixtures $<TARGET_FILE:tenon>
            --check ${CMAKE_SOURCE_DIR}/tests/models/fusions.txt)
    set_tests_properties(fusion_table PROPERTIES LABELS models TIMEOUT 120)
endif()
