# What the wheel carries below opwright/: the extension modules, the runtime archive that plugins link, AOTInductor's
# launcher, the public headers, the CMake package, notices.
if(TARGET _core)
  install(TARGETS _core _plugins LIBRARY DESTINATION opwright)
endif()
if(TARGET opwright_runtime)
  install(TARGETS opwright_runtime ARCHIVE DESTINATION opwright/lib)
  install(TARGETS opwright_aotinductor LIBRARY DESTINATION opwright/lib)
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION opwright/include FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
include(CMakePackageConfigHelpers)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/opwrightConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_SOURCE_DIR}/cmake/opwrightConfig.cmake" "${PROJECT_BINARY_DIR}/opwrightConfigVersion.cmake"
        DESTINATION opwright/lib/cmake/opwright)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/NOTICE" DESTINATION opwright/licenses)

# Texts of what is linked statically, where the LLVM in use has them beside it.
cmake_path(ABSOLUTE_PATH LLVM_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" NORMALIZE OUTPUT_VARIABLE _opw_llvm)
foreach(_opw_text LLVM zlib zstd)
  if(EXISTS "${_opw_llvm}/../../../../licenses/${_opw_text}.txt")
    install(FILES "${_opw_llvm}/../../../../licenses/${_opw_text}.txt" DESTINATION opwright/licenses)
  endif()
endforeach()
