# The Python that the build uses: it finds LLVM in the package index's SDK, and nanobind for the extension module.
if(OPW_PYTHON)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_DIR
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT nanobind_DIR)
    message(FATAL_ERROR "opwright: ${Python_EXECUTABLE} has no nanobind; install it (pip install 'nanobind>=2.9'), "
                        "or configure with -DOPW_PYTHON=OFF")
  endif()
  find_package(nanobind CONFIG REQUIRED)
else()
  find_package(Python 3.11 COMPONENTS Interpreter)
endif()
