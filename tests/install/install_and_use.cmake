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
step("${CMAKE_COMMAND}" -S "${consumer_dir}" -B "${work_dir}/build" -G "${generator}"
     "-DCMAKE_MAKE_PROGRAM=${make_program}" "-DCMAKE_CXX_COMPILER=${compiler}"
     "-DCMAKE_BUILD_TYPE=${build_type}" "-DCMAKE_CXX_FLAGS=${flags}"
     "-DCMAKE_PREFIX_PATH=${work_dir}/prefix")
step("${CMAKE_COMMAND}" --build "${work_dir}/build" --config "${build_type}")
step("${work_dir}/build/consumer" "${work_dir}/prefix/share/widthwise")
