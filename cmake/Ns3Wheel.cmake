# SPDX-License-Identifier: GPL-2.0-only
# Find ns-3 in the `ns3` Python wheel and make its CMake targets usable away from the machine they were built on.
# Gives the targets ns3::lib<module> and the variables NS3_WHEEL_DIR, NS3_WHEEL_LIB_DIR.

execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
          "import importlib.util as u; print(u.find_spec('ns3').submodule_search_locations[0] if u.find_spec('ns3') else '')"
  OUTPUT_VARIABLE NS3_WHEEL_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT NS3_WHEEL_DIR)
  message(FATAL_ERROR "the Python package 'ns3' is not installed for ${Python_EXECUTABLE}; its version is pinned in pyproject.toml")
endif()
set(NS3_WHEEL_LIB_DIR "${NS3_WHEEL_DIR}/lib64")

# NO_DEFAULT_PATH: a distribution's libns3-dev must not be taken instead.
find_package(ns3 3.44 EXACT REQUIRED CONFIG NO_DEFAULT_PATH PATHS "${NS3_WHEEL_LIB_DIR}/cmake/ns3")

get_directory_property(_targets IMPORTED_TARGETS)
foreach(_target IN LISTS _targets)
  if(NOT _target MATCHES "^ns3::")
    continue()
  endif()
  # The exported targets name folders and libraries of the machine that built the wheel.
  set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${NS3_WHEEL_DIR}/include")
  foreach(_property IN ITEMS INTERFACE_LINK_LIBRARIES INTERFACE_COMPILE_DEFINITIONS)
    get_target_property(_value ${_target} ${_property})
    if(_value)
      list(FILTER _value EXCLUDE REGEX "^/usr/lib64|^-Wl,|libxml2|sqlite3|PROJECT_SOURCE_PATH|HAVE_LIBXML2|HAVE_SQLITE3")
      set_target_properties(${_target} PROPERTIES ${_property} "${_value}")
    endif()
  endforeach()
  get_target_property(_options ${_target} INTERFACE_LINK_OPTIONS)
  if(_options)
    set_target_properties(${_target} PROPERTIES INTERFACE_LINK_OPTIONS "")
  endif()
endforeach()
