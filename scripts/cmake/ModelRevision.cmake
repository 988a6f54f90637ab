# cmake -D OUTPUT=file -D TOP=source_dir -P model_revision.cmake
#
# Writes a header with a hash over the sources that costs are computed by; touches it only if the hash
# has changed.
set(files)
foreach(folder models/base models/network models/hardware models/cost sim)
  file(GLOB_RECURSE found RELATIVE "${TOP}" "${TOP}/${folder}/*.hpp" "${TOP}/${folder}/*.cpp"
       "${TOP}/${folder}/*.inc")
  list(APPEND files ${found})
endforeach()
list(SORT files)
set(text "")
foreach(file IN LISTS files)
  file(SHA256 "${TOP}/${file}" hash)
  string(APPEND text "${file} ${hash}\n")
endforeach()
string(SHA256 revision "${text}")
string(SUBSTRING "${revision}" 0 16 revision)
set(new "inline constexpr const char* kModelRevision = \"${revision}\";\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL new)
  file(WRITE "${OUTPUT}" "${new}")
endif()
