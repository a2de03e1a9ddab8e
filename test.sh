#!/usr/bin/env bash
# Builds and runs every test: ./test.sh [--long] [--no-cuda] [options of ctest]. --long adds the slow ones. The CUDA
# backend's tests need no device, but the CUDA toolkit, which is installed unless --no-cuda says not to.
# What the machine lacks is reported as skipped, by name; with CI=true the clients and the browser may not be skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. config/build/prepare.sh

selection=(--label-exclude long)
cuda=AUTO
while true; do
    case "${1:-}" in
        --long) selection=() ;;
        --no-cuda) cuda=OFF ;;
        *) break ;;
    esac
    shift
done

prepare_packages program-options test context
if command -v apt-get >/dev/null; then
    packages=(curl)
    command -v systemd-analyze >/dev/null || packages+=(systemd)
    for tool in clang-format-19 clang-19 clang-tidy-19; do
        ! available "$tool" || packages+=("$tool")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    # Ubuntu's package of that name only points to a snap.
    command -v chromium >/dev/null || { . /etc/os-release; [ "$ID" = debian ] && packages+=(chromium); }
    install_packages "${packages[@]}"
fi

# The same file installs once: its stamp is its own copy. Without a network the clients are skipped, but not in CI.
if ! cmp -s tests/clients/requirements.txt build/venv/requirements.txt; then
    mkdir -p build
    step "making build/venv" "Install python3-venv." python3 -m venv --clear build/venv
    if build/venv/bin/pip install -q --disable-pip-version-check -r tests/clients/requirements.txt; then
        cp tests/clients/requirements.txt build/venv/requirements.txt
    else
        echo "solard: pip could not install the test clients; is there a network? Their tests will be skipped." >&2
        [ "${CI:-}" != true ] || exit 1
    fi
fi

if [ $cuda = AUTO ] && ! prepare_cuda; then
    echo "solard: the CUDA toolkit could not be installed; is there a network? Its tests will be left out." >&2
    [ "${CI:-}" != true ] || exit 1
fi

configure build/release -DSOLARD_TESTS=ON -DSOLARD_CUDA=$cuda
step "building" "The lines above show the error." ninja -C build/release
exec ctest --test-dir build/release --output-on-failure "${selection[@]}" "$@"
