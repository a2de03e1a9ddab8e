#!/usr/bin/env bash
# Builds and runs every test: ./test.sh [--long] [--no-cuda] [options of ctest]. --long adds the slow tests.
# The tests of the CUDA backend need no GPU, but they need the CUDA toolkit. This script installs the toolkit unless
# --no-cuda is given. If something that a test needs is missing, the test is reported as skipped, by name. With CI=true,
# the tests of the clients and of the browser must not be skipped. tests/README.md explains the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. config/build/prepare.sh

selection=(--label-exclude long)
long=
cuda=AUTO
while true; do
    case "${1:-}" in
        --long) selection=() long=1 ;;
        --no-cuda) cuda=OFF ;;
        *) break ;;
    esac
    shift
done

prepare_packages program-options test context
if command -v apt-get >/dev/null; then
    packages=(curl)
    command -v systemd-analyze >/dev/null || packages+=(systemd)
    [ -z "$long" ] || command -v javac >/dev/null || packages+=(default-jdk-headless)
    for tool in clang-format-19 clang-19 clang-tidy-19 ${long:+libclang-rt-19-dev}; do
        ! available "$tool" || packages+=("$tool")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    # Ubuntu's package chromium contains no browser: it only installs a snap.
    command -v chromium >/dev/null || { . /etc/os-release; [ "$ID" = debian ] && packages+=(chromium); }
    install_packages "${packages[@]}"
    # nginx is only unpacked: its installation would start a web server on port 80.
    if [ ! -x /usr/sbin/nginx ] && [ ! -x build/nginx/usr/sbin/nginx ]; then
        rm -rf build/nginx
        mkdir -p build/nginx
        download() { (cd build/nginx && apt-get download -q nginx && dpkg -x nginx_*.deb .); }
        if ! download && ! { update_package_lists && download; }; then
            rm -rf build/nginx
            echo "solard: nginx could not be downloaded; check the network. Its test will be skipped." >&2
            [ "${CI:-}" != true ] || exit 1
        fi
    fi
fi

# install_clients FOLDER REQUIREMENTS: makes a virtual environment with these test clients. A finished installation
# contains a copy of the requirements. If the installation fails, the tests of these clients are skipped; with CI=true,
# this script fails instead.
install_clients() {
    ! cmp -s "$2" "$1/requirements.txt" || return 0
    mkdir -p build
    step "making $1" "Install python3-venv." python3 -m venv --clear "$1"
    if "$1/bin/pip" install -q --disable-pip-version-check -r "$2"; then
        cp "$2" "$1/requirements.txt"
    else
        echo "solard: pip could not install the test clients; check the network. Their tests will be skipped." >&2
        [ "${CI:-}" != true ] || exit 1
    fi
}
install_clients build/venv tests/clients/requirements.txt
if [ -n "$long" ]; then
    install_clients build/venv-long tests/clients/requirements-long.txt
    install_clients build/venv-older-openai tests/clients/requirements-older-openai.txt
    install_clients build/venv-transformers-4 tests/tokenizers/requirements-4.txt
    install_clients build/venv-transformers-5 tests/tokenizers/requirements-5.txt
fi

if [ $cuda = AUTO ] && ! prepare_cuda; then
    echo "solard: the CUDA toolkit could not be installed; check the network. The tests which need it will be left out." >&2
    [ "${CI:-}" != true ] || exit 1
fi

if ! prepare_xgrammar; then
    echo "solard: XGrammar could not be downloaded; check the network. The tests which need it will be left out." >&2
    [ "${CI:-}" != true ] || exit 1
fi
configure build/release -DSOLARD_TESTS=ON -DSOLARD_CUDA=$cuda
step "building" "The lines above show the error." ninja -C build/release
exec ctest --test-dir build/release --output-on-failure "${selection[@]}" "$@"
