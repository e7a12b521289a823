# ONNX's own test cases, all of them, where a Python with the onnx package can be had; test_cases.c runs a part of them everywhere.
if(TARGET tenon)
    add_test(NAME conformance_onnx COMMAND ${CMAKE_SOURCE_DIR}/scripts/onnx_python.sh
        ${CMAKE_SOURCE_DIR}/tests/conformance/run_onnx.py $<TARGET_FILE:tenon>)
    set_tests_properties(conformance_onnx PROPERTIES LABELS conformance TIMEOUT 1800 SKIP_RETURN_CODE 77 RESOURCE_LOCK onnx_python)
endif()
