# Tests of the packager and of the runtime, with plugins that they build.
set(_here "${CMAKE_CURRENT_LIST_DIR}")
add_library(opw_package_kit STATIC "${_here}/package_kit.cpp")
opw_set_up(opw_package_kit)
target_include_directories(opw_package_kit PUBLIC "${_here}")
target_link_libraries(opw_package_kit PUBLIC opw_package PRIVATE ${CMAKE_DL_LIBS})
target_compile_definitions(opw_package_kit PRIVATE "OPW_TEST_INCLUDE=\"${PROJECT_SOURCE_DIR}/include\""
                           "OPW_TEST_ARCHIVE=\"$<TARGET_FILE:opwright_runtime>\"")
add_dependencies(opw_package_kit opwright_runtime)

opw_add_test(package_plugin_test SOURCES "${_here}/package_plugin_test.cpp" LINK opw_package_kit)
opw_add_test(package_ops_test SOURCES "${_here}/package_ops_test.cpp" LINK opw_package_kit)
opw_add_test(package_expression_test SOURCES "${_here}/package_expression_test.cpp" LINK opw_package)
opw_add_test(runtime_pool_test SOURCES "${_here}/runtime_pool_test.cpp" LINK opwright_runtime_checked)
add_library(opw_fake_torch SHARED "${_here}/fake_torch.cpp")
set_target_properties(opw_fake_torch PROPERTIES OUTPUT_NAME torch_cpu) # what the adapter looks for
target_link_libraries(opw_fake_torch PRIVATE opw_options opw_sanitize)
opw_add_test(torch_pool_test SOURCES "${_here}/torch_pool_test.cpp" LINK opwright_torch opwright_runtime_checked)
target_compile_definitions(torch_pool_test PRIVATE "OPW_FAKE_TORCH=\"$<TARGET_FILE:opw_fake_torch>\"")
add_dependencies(torch_pool_test opw_fake_torch)
opw_add_test(runtime_tables_test SOURCES "${_here}/runtime_tables_test.cpp" LINK opwright_runtime_checked)
if(TARGET opw_driver)
  opw_add_test(build_test SOURCES "${_here}/build_test.cpp" LINK opw_driver opw_package_kit)
endif()
