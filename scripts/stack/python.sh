# Sourced by scripts/run and scripts/test: makes sure that there is a Python to go on with.
if ! command -v python3 > /dev/null; then
    if ! command -v apt-get > /dev/null; then
        echo "Python 3.11 or newer is missing: install it." >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo > /dev/null; then
            echo "This needs root: run it as root, or install sudo and allow yourself to use it." >&2
            exit 1
        fi
        sudo=sudo
    fi
    echo "Installing Python ..." >&2
    # A source of packages that is broken is no reason to give up: another one may have what is needed.
    $sudo apt-get update -qq > /dev/null 2>&1 || true
    if ! said=$($sudo apt-get install -qq -y --no-install-recommends python3 2>&1); then
        echo "Python could not be installed with apt-get; is there a network? It says:" >&2
        echo "$said" | grep '^E: ' | tail -n 3 >&2
        exit 1
    fi
fi
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; this is $(python3 --version)." >&2
    exit 1
fi
