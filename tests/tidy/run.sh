#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Style that a program can judge: layers and include cycles (layers.py), formatting (clang-format), small things that rot (text.py), and that what
# the documents name exists (docs.py).
# Ends with "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
passed=0
failed=0
check() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "tidy: $name failed"; fi
}
check layers /usr/bin/python3 tests/tidy/layers.py
check text /usr/bin/python3 tests/tidy/text.py
check docs /usr/bin/python3 tests/tidy/docs.py
check format bash -o pipefail -c "git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror 2>&1 | head -40"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
