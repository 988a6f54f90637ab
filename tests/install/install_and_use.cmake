# cmake -D build_dir=... -P install_and_use.cmake; see CMakeLists.txt for the other arguments.

function(step)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${work_dir}")
step("${CMAKE_COMMAND}" --install "${build_dir}" --config "${build_type}" --prefix "${work_dir}/prefix")

set(flags "")
if(sanitizers)
  set(flags "-fsanitize=${sanitizers}")
endif()
foreach(project consumer example)
  step("${CMAKE_COMMAND}" -S "${${project}_dir}" -B "${work_dir}/${project}" -G "${generator}"
       "-DCMAKE_MAKE_PROGRAM=${make_program}" "-DCMAKE_CXX_COMPILER=${compiler}"
       "-DCMAKE_BUILD_TYPE=${build_type}" "-DCMAKE_CXX_FLAGS=${flags}"
       "-DCMAKE_PREFIX_PATH=${work_dir}/prefix")
  step("${CMAKE_COMMAND}" --build "${work_dir}/${project}" --config "${build_type}")
endforeach()
step("${work_dir}/consumer/consumer" "${work_dir}/prefix/share/widthwise")
set(ENV{WIDTHWISE_DATA} "${work_dir}/prefix/share/widthwise")
step("${work_dir}/example/cheapest_widths" bismo_edge_8x8 tiny_cnn 0.5)
