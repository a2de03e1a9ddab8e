# Functions which install missing packages and configure the build. run.sh and test.sh source this file in the
# repository's root.

# step WHAT HINT COMMAND...: runs the command. If it fails, prints the command and the hint, and ends the script.
step() {
    local what=$1 hint=$2
    shift 2
    if ! "$@"; then
        echo "solard: $what failed: $*" >&2
        echo "solard: $hint" >&2
        exit 1
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "solard: only root can install packages, and sudo is not installed; run this script as root" >&2
        return 1
    fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Succeeds if a package can be installed. `apt-cache show` would also succeed for names that other packages merely
# mention. A pipe into `grep -q` would be wrong: grep ends at its first match, so that apt-cache sometimes ends with
# SIGPIPE, and pipefail would count this as "not available".
available() { [[ $(apt-cache policy "$1" 2>/dev/null) == *'Candidate: '[0-9]* ]]; }

# Prints the release of Boost to use: an installed release if there is one, otherwise the oldest listed release which
# the distribution has. The program needs Boost 1.81 or newer. The default release of Debian 12 is too old, but Debian
# 12 also has 1.81. Ubuntu 24.04 and Debian 13 have 1.83.
boost_release() {
    local release
    for release in 1.81 1.83 1.88 1.90; do
        if installed "libboost-json$release-dev"; then
            echo "$release"
            return
        fi
    done
    for release in 1.81 1.83 1.88 1.90; do
        if available "libboost-json$release-dev"; then
            echo "$release"
            return
        fi
    done
    return 1
}

# Updates the package lists once per run, because old lists name packages that no longer exist.
update_package_lists() {
    [ -z "${package_lists_updated:-}" ] || return 0
    step "reading the package lists" "Check the network and the package sources." as_root apt-get update -q
    package_lists_updated=1
}

# install_packages PACKAGE...: installs the Debian packages that are missing.
install_packages() {
    local missing=() package
    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "solard: installing ${missing[*]}"
    update_package_lists
    step "installing packages" "Check the network and the package sources, or install the packages by hand: apt-get install ${missing[*]}" \
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# prepare_packages [BOOST_PART...]: installs everything that the build needs, including Boost.JSON and the named parts
# of Boost.
prepare_packages() {
    if ! command -v apt-get >/dev/null; then
        echo "solard: apt-get was not found; if the build fails, install the packages in README.md under 'Packages'" >&2
        return
    fi
    local release part packages=(g++ cmake ninja-build libsentencepiece-dev libpcre2-dev libssl-dev zlib1g-dev)
    release=$(boost_release) || {
        update_package_lists
        release=$(boost_release) || {
            echo "solard: this distribution has no Boost 1.81 or newer; use a newer distribution, for example Debian 12 or 13" >&2
            exit 1
        }
    }
    packages+=("libboost$release-dev")
    for part in json "$@"; do
        packages+=("libboost-$part$release-dev")
    done
    # A Node.js that is not a package of the distribution has its own npm and conflicts with the distribution's
    # packages.
    command -v npm >/dev/null || packages+=(nodejs npm)
    install_packages "${packages[@]}"
}

# Succeeds if a CUDA 13 toolkit with nvcc and cuBLASLt's header is in a place that config/build/cuda.cmake searches.
has_cuda_toolkit() {
    local nvcc root
    for nvcc in build/cuda/nvidia/cu13/bin/nvcc "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
        [ -x "$nvcc" ] || continue
        root=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
        [ -f "$root/include/cublasLt.h" ] || continue
        grep -qs '^#define CUDART_VERSION  *13[0-9][0-9][0-9]$' "$root/include/cuda_runtime_api.h" && return
    done
    return 1
}

# prepare_cuda: installs the CUDA toolkit into build/cuda if the machine has none; returns 1 if the installation fails.
# A finished installation contains a copy of the requirements. If the requirements change, the toolkit is installed
# again.
prepare_cuda() {
    local list=config/build/cuda-requirements.txt work=build/cuda-install
    [ -f build/cuda/requirements.txt ] || ! has_cuda_toolkit || return 0
    cmp -s "$list" build/cuda/requirements.txt && return
    echo "solard: installing the CUDA toolkit into build/cuda (0.9 GB)"
    if command -v apt-get >/dev/null && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3 python3-venv
    fi
    # The installation is moved into place when it is complete, so that the next run cannot find half a toolkit.
    rm -rf "$work"
    mkdir -p "$work"
    # The virtual environment has its own pip. Debian's pip may be missing, and it refuses to install packages outside a
    # virtual environment.
    if ! python3 -m venv "$work/venv" ||
        ! "$work/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$work/cuda" -r "$list"; then
        rm -rf "$work"
        return 1
    fi
    # nvcc.profile, the configuration file of nvcc, makes nvcc look for libraries in lib64.
    ln -sfn lib "$work/cuda/nvidia/cu13/lib64"
    cp "$list" "$work/cuda/requirements.txt"
    rm -rf build/cuda
    mv "$work/cuda" build/cuda
    rm -rf "$work"
}

# prepare_xgrammar: unpacks XGrammar into build/xgrammar; returns 1 if that fails. A finished folder contains a copy of the
# requirements.
prepare_xgrammar() {
    local list=config/build/xgrammar-requirements.txt work=build/xgrammar-install
    ! cmp -s "$list" build/xgrammar/requirements.txt || return 0
    if command -v apt-get >/dev/null && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages python3 python3-venv
    fi
    rm -rf "$work" build/xgrammar
    mkdir -p "$work/xgrammar"
    if ! python3 -m venv "$work/venv" ||
        ! "$work/venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary xgrammar --require-hashes \
            --dest "$work" -r "$list" ||
        ! tar xzf "$work"/xgrammar-*.tar.gz --strip-components=1 -C "$work/xgrammar"; then
        rm -rf "$work"
        return 1
    fi
    cp "$list" "$work/xgrammar/requirements.txt"
    mv "$work/xgrammar" build/xgrammar
    rm -rf "$work"
}

# cached FOLDER VARIABLE: prints the variable's value in the CMake cache of the folder, or nothing if it has no value.
cached() { sed -n "s/^$2:[A-Z]*=//p" "$1/CMakeCache.txt" 2>/dev/null || true; }

# configure FOLDER OPTIONS...: configures the build folder. The build itself notices later changes of CMakeLists.txt.
configure() {
    local folder=$1
    shift
    step "configuring the build" "The lines above show what is missing. To start again from nothing, run: rm -r $folder" \
        cmake -S . -B "$folder" -G Ninja -C config/build/release.cmake "$@"
}
