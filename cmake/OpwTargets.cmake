# The helpers that every folder uses: one way to make a library, a tool and a test.
#   opw_add_library(<name> SOURCES a.cpp... [LINK libs...] [LINK_PRIVATE libs...] [NO_RTTI] [NO_EXCEPTIONS] [RUNTIME])
#   opw_add_tool(<name> SOURCES a.cpp... [LINK libs...])
#   opw_add_test(<name> LABEL unit SOURCES a_test.cpp... [LINK libs...])        GoogleTest, with its main
#   opw_add_folder(<path>)                                                      a folder with its own CMakeLists.txt

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Flags of every target of ours.
add_library(opw_options INTERFACE)
target_compile_features(opw_options INTERFACE cxx_std_20 c_std_11)
target_compile_options(opw_options INTERFACE -Wall -Wextra -ffunction-sections -fdata-sections $<$<BOOL:${OPW_WERROR}>:-Werror>)
target_link_options(opw_options INTERFACE -Wl,--gc-sections)
# Two warnings of GCC's optimiser that its own std::string and std::optional set off (GCC bug 105651 and its kin).
target_compile_options(opw_options INTERFACE "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict;-Wno-maybe-uninitialized>")

# A translation unit says where it is in relative terms: the same sources give the same bytes in every folder.
target_compile_options(opw_options INTERFACE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=" "-ffile-prefix-map=${PROJECT_BINARY_DIR}/=")

# Sanitizers hold for LLVM-free and LLVM-linking targets alike; the Python module is left out by the preset.
add_library(opw_sanitize INTERFACE)
if(OPW_SANITIZE)
  target_compile_options(opw_sanitize INTERFACE -fsanitize=${OPW_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(OPW_PYTHON)
    # The module shares inlined functions with its LLVM, which has no run-time type information for vptr to read.
    target_compile_options(opw_sanitize INTERFACE -fno-sanitize=vptr)
  endif()
  target_link_options(opw_sanitize INTERFACE -fsanitize=${OPW_SANITIZE})
endif()

# What every target of ours gets: hidden visibility, position-independent code, warnings, sanitizers.
function(opw_set_up target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
                        VISIBILITY_INLINES_HIDDEN ON CXX_EXTENSIONS OFF C_EXTENSIONS OFF)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:opw_options> $<BUILD_INTERFACE:opw_sanitize>)
endfunction()

function(opw_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_RTTI;NO_EXCEPTIONS;RUNTIME" "" "SOURCES;LINK;LINK_PRIVATE")
  add_library(${name} STATIC ${arg_SOURCES})
  opw_set_up(${name})
  if(arg_RUNTIME)  # the house that runs: it never sees src/, and needs libc alone
    target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}/runtime" "${PROJECT_SOURCE_DIR}/include")
    set(arg_NO_RTTI ON)
    set(arg_NO_EXCEPTIONS ON)
  else()
    target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")
  endif()
  if(arg_NO_RTTI)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  endif()
  if(arg_NO_EXCEPTIONS)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
  endif()
  target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE ${arg_LINK_PRIVATE})
endfunction()

function(opw_add_tool name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_executable(${name} ${arg_SOURCES})
  opw_set_up(${name})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(${name} PRIVATE ${arg_LINK})
endfunction()

function(opw_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL" "SOURCES;LINK")
  if(NOT TARGET GTest::gtest_main)
    find_package(GTest REQUIRED)
  endif()
  add_executable(${name} ${arg_SOURCES})
  opw_set_up(${name})
  target_compile_options(${name} PRIVATE -O1)  # a test runs once: what it tests is optimised in full, itself it only costs time
  target_compile_definitions(${name} PRIVATE "OPW_TEST_DATA=\"${PROJECT_SOURCE_DIR}/tests\"")
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest_main)
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 300)
endfunction()

# Takes the folder where it is there: a source archive may leave tests out.
function(opw_add_folder path)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${path}/CMakeLists.txt")
    add_subdirectory("${path}")
  else()
    message(STATUS "opwright: no ${path}/CMakeLists.txt, left out")
  endif()
endfunction()
