#!/bin/bash
# The sources are as .clang-format says.  Only by version 14: each version has its own ideas.
cd "${srcdir:-.}" || exit 1
[ -n "$CLANG_FORMAT" ] || { echo "skipped: no clang-format"; exit 77; }
"$CLANG_FORMAT" --version | grep -q 'version 14\.' || { echo "skipped: clang-format is not version 14"; exit 77; }
find src tests -name '*.[ch]' -print0 | xargs -0 "$CLANG_FORMAT" --dry-run -Werror || exit 1
echo "formatting holds"
