# The AWS Common Runtime: find it, say which versions it has, and keep it inside the module.

if(NOT OBJECTFS_CRT)
  message(FATAL_ERROR "OBJECTFS_CRT is not set: it has to name a prefix made by scripts/build-crt, or any prefix that holds aws-c-s3")
endif()
if(NOT IS_DIRECTORY "${OBJECTFS_CRT}")
  message(FATAL_ERROR "OBJECTFS_CRT names ${OBJECTFS_CRT}, which is not a directory")
endif()

# build/ is kept between builds and find_package does not look again for what it found once: with another prefix it
# would go on linking the old one.
if(NOT OBJECTFS_CRT STREQUAL "${OBJECTFS_CRT_FOUND_IN}")
  get_cmake_property(cached CACHE_VARIABLES)
  foreach(variable IN LISTS cached)
    if(variable MATCHES "^(aws-.*|s2n|crypto)_DIR$|^crypto_|^OPENSSL_")
      unset(${variable} CACHE)
    endif()
  endforeach()
  set(OBJECTFS_CRT_FOUND_IN "${OBJECTFS_CRT}" CACHE INTERNAL "Prefix that the cached package locations belong to")
endif()

# The prefix first, and every library from it: a libcrypto or an aws-c-* of the system must not be mixed in.
list(PREPEND CMAKE_PREFIX_PATH "${OBJECTFS_CRT}")
# CMake's package files of aws-c-s3 know what each platform needs besides (frameworks, ws2_32, pthreads): nothing is named here.
find_package(aws-c-s3 REQUIRED)

get_target_property(objectfs_crt_type AWS::aws-c-s3 TYPE)
if(objectfs_crt_type STREQUAL "SHARED_LIBRARY")
  set(OBJECTFS_CRT_LINK "shared")
else()
  set(OBJECTFS_CRT_LINK "static")
endif()
message(STATUS "aws-c-s3: ${aws-c-s3_DIR} (${OBJECTFS_CRT_LINK})")

# Versions: scripts/build-crt leaves a manifest in the prefix. A prefix made elsewhere has none, and then we say so
# instead of claiming the versions of the lock.
set(OBJECTFS_CRT_VERSIONS "aws-c-s3=unknown")
set(OBJECTFS_CRT_ARCHIVE "external")
set(OBJECTFS_CRT_BUILD_TYPE "unknown")
set(objectfs_manifest "${OBJECTFS_CRT}/share/objectfs/crt.json")
if(EXISTS "${objectfs_manifest}")
  file(READ "${objectfs_manifest}" objectfs_json)
  string(JSON OBJECTFS_CRT_ARCHIVE GET "${objectfs_json}" archive)
  string(JSON OBJECTFS_CRT_BUILD_TYPE GET "${objectfs_json}" build_type)
  string(JSON objectfs_count LENGTH "${objectfs_json}" versions)
  math(EXPR objectfs_last "${objectfs_count} - 1")
  set(OBJECTFS_CRT_VERSIONS "")
  foreach(index RANGE ${objectfs_last})
    string(JSON name MEMBER "${objectfs_json}" versions ${index})
    string(JSON version GET "${objectfs_json}" versions ${name})
    string(APPEND OBJECTFS_CRT_VERSIONS "${name}=${version}\\n")
  endforeach()
  string(REGEX REPLACE "\\\\n$" "" OBJECTFS_CRT_VERSIONS "${OBJECTFS_CRT_VERSIONS}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${objectfs_manifest}")
endif()
if(OBJECTFS_DEBUG)
  set(OBJECTFS_BUILD_TYPE "debug")
else()
  set(OBJECTFS_BUILD_TYPE "release")
endif()
if(OBJECTFS_SANITIZE)
  string(APPEND OBJECTFS_BUILD_TYPE "+sanitize=${OBJECTFS_SANITIZE}")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/objectfs_versions.h.in"
  "${CMAKE_CURRENT_BINARY_DIR}/generated/objectfs_versions.h" @ONLY)

# Another copy of these libraries may live in the process (awscrt, s3torchconnector, the system's OpenSSL). Ours must
# neither be replaced by theirs nor replace theirs: the module exports its init function and nothing else.
function(objectfs_hide_symbols target)
  set_target_properties(${target} PROPERTIES C_VISIBILITY_PRESET hidden)
  if(APPLE)
    target_link_options(${target} PRIVATE "LINKER:-exported_symbol,_PyInit_${target}" "LINKER:-dead_strip")
  elseif(NOT WIN32)
    set(script "${CMAKE_CURRENT_BINARY_DIR}/${target}.map")
    file(WRITE "${script}" "{ global: PyInit_${target}; local: *; };\n")
    target_link_options(${target} PRIVATE
      "LINKER:--version-script=${script}" "LINKER:--exclude-libs,ALL" "LINKER:--gc-sections")
  endif()
endfunction()

# Shared libraries are found where they were linked from. A wheel that is to travel gets them copied in by
# auditwheel/delocate, which rewrite this path.
function(objectfs_set_rpath target)
  if(OBJECTFS_CRT_LINK STREQUAL "shared")
    set_target_properties(${target} PROPERTIES INSTALL_RPATH_USE_LINK_PATH TRUE)
  endif()
endfunction()

# Some of a static library's calls go through native/linked.c, append.c, gate.c, handshake.c, later.c, lent.c,
# message.c, single.c, source.c, timer.c and trailer.c, where the linker can do that (ELF).
function(objectfs_wrap target)
  if(OBJECTFS_CRT_LINK STREQUAL "static" AND UNIX AND NOT APPLE)
    target_compile_definitions(${target} PRIVATE OBJECTFS_WRAP=1)
    target_link_options(${target} PRIVATE
      "LINKER:--wrap=aws_event_loop_group_new_default" "LINKER:--wrap=aws_explicit_aligned_allocator_new"
      "LINKER:--wrap=aws_byte_buf_append" "LINKER:--wrap=aws_http_connection_manager_new"
      "LINKER:--wrap=aws_http_connection_manager_acquire_connection"
      "LINKER:--wrap=aws_http_connection_manager_release_connection"
      "LINKER:--wrap=aws_http_headers_add" "LINKER:--wrap=aws_http_connection_make_request"
      "LINKER:--wrap=aws_channel_slot_acquire_max_message_for_write" "LINKER:--wrap=aws_input_stream_read"
      "LINKER:--wrap=aws_byte_buf_write" "LINKER:--wrap=aws_socket_write"
      "LINKER:--wrap=aws_message_pool_acquire"
      "LINKER:--wrap=aws_socket_handler_new" "LINKER:--wrap=aws_checksum_compute" "LINKER:--wrap=aws_checksum_update"
      "LINKER:--wrap=aws_s3_message_util_assign_body"
      "LINKER:--wrap=aws_s3_upload_request_checksum_context_finalize_checksum"
      "LINKER:--wrap=s2n_config_new" "LINKER:--wrap=s2n_negotiate"
      "LINKER:--wrap=epoll_wait" "LINKER:--wrap=timerfd_settime"
      "LINKER:--wrap=aws_s3_crt_error_code_from_recoverable_server_error_code_string")
  endif()
endfunction()
