# SPDX-License-Identifier: Apache-2.0
# Installing what is missing and the release build. Sourced. One at a time, whoever starts it.

build_programs() {
    local build=$ROOT/build/release log=$ROOT/build/release.log
    mkdir -p "$build" || return 1
    (
        flock 9 || exit 1
        packages_install $PACKAGES_BUILD $PACKAGES_RUN || { echo "cannot install the packages above" >&2; exit 1; }
        if ! cmake -S "$ROOT" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTERN_TESTS=OFF >"$log" 2>&1 ||
            ! ninja -C "$build" tern-frontend tern-storage-node tern-director ternctl >>"$log" 2>&1; then
            tail -40 "$log" >&2
            echo "the build failed; all of it: $log" >&2
            exit 1
        fi
    ) 9>"$ROOT/build/.release.lock"
}
