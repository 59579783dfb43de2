# Shared by the scripts in jobs/ and test/: package installation, the build, and mpirun's settings. Sourced, not run.

# What Strata builds from and runs with, all of it packages of Debian 12 and 13 and of Ubuntu 24.04.
strata_packages=(
  g++ cmake ninja-build pkg-config
  libopenmpi-dev openmpi-bin libhdf5-openmpi-dev hdf5-tools
  libdnnl-dev libeigen3-dev libboost-program-options-dev libboost-iostreams-dev zlib1g-dev libzstd-dev
  libsentencepiece-dev nlohmann-json3-dev librandom123-dev libxxhash-dev
)

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\n%s\n' "$*" >&2; exit 1; }

# install_packages PACKAGE...: installs those that are not there yet, as root or with sudo; nothing otherwise.
install_packages() {
  local missing=() p sudo=()
  command -v dpkg-query >/dev/null || fail "This is not a Debian or Ubuntu system. Load the libraries of doc/building.md as modules and run this script with --no-install."
  for p in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  ((${#missing[@]})) || { say "All packages are installed"; return 0; }
  say "Installing packages: ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "Installing needs root or sudo. Ask for the packages above, or use --no-install where modules provide the libraries."
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update -qq || fail "apt-get update failed: is the network reachable?"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || fail "apt-get install failed: the lines above say why"
}

# build_strata TARGET...: configures and builds into build/.
build_strata() {
  local generator=()
  [ -e build/CMakeCache.txt ] || { command -v ninja >/dev/null && generator=(-G Ninja); }
  say "Building into build/ with $(nproc) processes"
  cmake --preset cpu-release "${generator[@]}" "${strata_cmake_options[@]}" >build.log 2>&1 || { cat build.log; fail "CMake could not configure the build"; }
  cmake --build build -j "$(nproc)" --target "$@"
}

# Open MPI refuses root, more ranks than cores, and a system without ssh unless told otherwise; ranks are not tied to one core each, their threads need more.
prepare_mpirun() {
  [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  command -v ssh >/dev/null || command -v rsh >/dev/null || export OMPI_MCA_plm=isolated
  mpi=(mpirun --oversubscribe --bind-to none)
}
