# `cmake --install`: command line, libraries, headers, pkg-config files and the CMake package, all relocatable as one tree.
#   tenon / tenon::tenon                 the shared runtime library
#   tenon-static / tenon::tenon_static   the same as an archive
#   tenonc / tenon::tenonc               the compiler (an archive) with the runtime it needs
include(CMakePackageConfigHelpers)
set(PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tenon)
set(PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(STAGED ${CMAKE_BINARY_DIR}/install)

install(FILES runtime/tenon.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS tenon_shared tenon_static
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tenon)
    install(TARGETS tenon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# From the folder of the .pc files up to the prefix, for example "../..": lets the tree move.
file(RELATIVE_PATH UP /x/${PKGCONFIG_DIR} /x)
string(REGEX REPLACE "/$" "" PREFIX_FROM_PC "${UP}")
set(PC_FILES tenon tenon-static)

if(TARGET tenonc)
    # Inside the source tree headers are named from its root; an installed header stands beside the other.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/backend/tenonc.h)
    file(READ backend/tenonc.h text)
    string(REPLACE "\"runtime/tenon.h\"" "\"tenon.h\"" text "${text}")
    file(CONFIGURE OUTPUT ${STAGED}/tenonc.h CONTENT "${text}" @ONLY)
    install(FILES ${STAGED}/tenonc.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(TARGETS tenonc ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    list(APPEND PC_FILES tenonc)
endif()

foreach(name ${PC_FILES})
    configure_file(cmake/${name}.pc.in ${STAGED}/${name}.pc @ONLY)
    install(FILES ${STAGED}/${name}.pc DESTINATION ${PKGCONFIG_DIR})
endforeach()
configure_package_config_file(cmake/tenonConfig.cmake.in ${STAGED}/tenonConfig.cmake
    INSTALL_DESTINATION ${PACKAGE_DIR} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${STAGED}/tenonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${STAGED}/tenonConfig.cmake ${STAGED}/tenonConfigVersion.cmake DESTINATION ${PACKAGE_DIR})
