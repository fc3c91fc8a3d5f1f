#!/usr/bin/env bash
# Generates clients/go/gen from proto/. With --check: compares instead, and fails where they differ.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

case "${1:-}" in
    "") check=no ;;
    --check) check=yes ;;
    *) echo "usage: generate.sh [--check]" >&2; exit 2 ;;
esac

python=${PYTHON:-$root/.venv/bin/python}
buf=${BUF:-$root/.venv/bin/buf}
for tool in go "$python" "$buf"; do
    command -v "$tool" >/dev/null || { echo "generate.sh: $tool is needed" >&2; exit 1; }
done

# Go's own folders stay inside the checkout unless the user has set them.
export GOPATH=${GOPATH:-$root/build/go} GOCACHE=${GOCACHE:-$root/build/go-cache} GOFLAGS=${GOFLAGS:--modcacherw}

# google/api and google/rpc, which buf.yaml names as its second module, from the package that carries them.
if [ ! -d build/googleapis/google/api ]; then
    mkdir -p build/googleapis
    "$python" - build/googleapis <<'PYTHON'
import shutil, sys
from importlib.util import find_spec
from pathlib import Path
for area in ("api", "rpc"):
    source = Path(next(iter(find_spec(f"google.{area}").submodule_search_locations)))
    target = Path(sys.argv[1], "google", area)
    target.mkdir(parents=True, exist_ok=True)
    for proto in source.glob("*.proto"):
        shutil.copyfile(proto, target / proto.name)
PYTHON
fi

mkdir -p build/go-bin
go -C clients/go/internal/tools build -o "$root/build/go-bin/" tool

# Into an empty folder first, so that a message taken out of the contract leaves no file behind.
out=build/go-gen
rm -rf "$out"
mkdir -p "$out"
PATH=$root/build/go-bin:$PATH "$buf" generate --template clients/go/buf.gen.yaml -o "$out"

if [ "$check" = no ]; then
    rm -rf clients/go/gen
    mv "$out/clients/go/gen" clients/go/gen
elif ! diff -r -q clients/go/gen "$out/clients/go/gen"; then
    echo "clients/go/gen is not what proto/ generates: run clients/go/generate.sh and commit" >&2
    exit 1
fi
