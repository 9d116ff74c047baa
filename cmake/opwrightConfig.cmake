# find_package(opwright) of an installed package: the target opwright::plugin has the headers of plugins, for C and C++,
# and what loading one needs. `python -m opwright --cmake-dir` prints the folder of this file.
get_filename_component(_opwright_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET opwright::plugin)
  add_library(opwright::plugin INTERFACE IMPORTED)
  set_target_properties(opwright::plugin PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_opwright_root}/include"
    INTERFACE_LINK_LIBRARIES "${CMAKE_DL_LIBS}")
  if(CMAKE_CXX_COMPILE_FEATURES)
    set_target_properties(opwright::plugin PROPERTIES INTERFACE_COMPILE_FEATURES cxx_std_17)
  endif()
endif()
unset(_opwright_root)
