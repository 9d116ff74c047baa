# LLVM 23, static: from -DLLVM_DIR=<prefix>/lib/cmake/llvm, or from the package mlc-llvm-static of the Python in use.
#   opw_link_llvm(<target> components...)    the one way to use it; only src/codegen/cpu does
#   OPW_WITH_AARCH64                         this LLVM can write code for aarch64: that of mlc-llvm-static[all] can
if(NOT LLVM_DIR AND Python_EXECUTABLE)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m mlc_llvm_static.config --cmake-dir OUTPUT_VARIABLE _opw_llvm_dir
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m mlc_llvm_static.config --prefix OUTPUT_VARIABLE _opw_llvm_prefix
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(_opw_llvm_dir)
    set(LLVM_DIR "${_opw_llvm_dir}" CACHE PATH "folder of LLVMConfig.cmake")
    list(APPEND CMAKE_PREFIX_PATH "${_opw_llvm_prefix}")
  endif()
endif()
find_package(LLVM CONFIG QUIET)
if(NOT LLVM_FOUND)
  message(FATAL_ERROR "opwright: no LLVM found; expected LLVM 23: pip install 'mlc-llvm-static>=23.1.1.post0,<24' into "
                      "${Python_EXECUTABLE}, or configure with -DLLVM_DIR=<prefix>/lib/cmake/llvm")
endif()
if(NOT LLVM_VERSION_MAJOR EQUAL 23)
  message(FATAL_ERROR "opwright: found LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}, expected 23; set -DLLVM_DIR to an LLVM 23")
endif()
message(STATUS "opwright: LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}")
set(OPW_WITH_AARCH64 OFF)
if("AArch64" IN_LIST LLVM_TARGETS_TO_BUILD)
  set(OPW_WITH_AARCH64 ON)
elseif(OPW_EMULATOR)
  message(FATAL_ERROR "opwright: OPW_EMULATOR needs an LLVM with the AArch64 target, found ${LLVM_TARGETS_TO_BUILD} in ${LLVM_DIR}: "
                      "pip install 'mlc-llvm-static[all]>=23.1.1.post0,<24' into ${Python_EXECUTABLE}")
endif()

# LLVM's own headers are the system's: their warnings are not ours. The SDK has no RTTI and no exceptions.
function(opw_link_llvm target)
  llvm_map_components_to_libnames(libs ${ARGN})
  target_include_directories(${target} SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
  separate_arguments(definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
  target_compile_definitions(${target} PRIVATE ${definitions})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  target_link_libraries(${target} PRIVATE ${libs})
endfunction()
