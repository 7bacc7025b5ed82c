#!/bin/sh
# Builds the engine's module with a sanitizer and runs tests/native under it.
#
#   [SANITIZER=address|undefined|thread] tests/native/run_sanitized.sh PREFIX [pytest arguments]
#   RUN=program.py tests/native/run_sanitized.sh PREFIX [arguments]      the program in the place of pytest
#
# PREFIX holds the C libraries (scripts/build-crt PREFIX [--sanitize NAME]; what is not built with the sanitizer is not
# looked at, but for what it does through libc and pthread). The Python in $PYTHON (default python3) needs cython,
# pytest, pytest-asyncio, hypothesis and what objectfs needs. Leaks are the memory tracer's business: Python itself
# keeps memory to the end. First a canary: a mistake made on purpose must be reported, or nothing is proved.
set -eu
prefix=${1:?the prefix with the C libraries}
shift
python=$(command -v "${PYTHON:-python3}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
sanitizer=${SANITIZER:-address}
cc=${CC:-gcc}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/src/objectfs" "$work/objectfs"
rm -f "$work"/objectfs/_native*.so
(cd "$root/native" && "$python" -m cython -3 -I . --module-name objectfs._native _native.pyx -o "$work/_native.c")
wrap=
if [ "$(uname -sm)" = "Linux x86_64" ] && [ -e "$prefix/lib/libaws-c-s3.a" ]; then
    # as cmake/Crt.cmake has it
    wrap="-DOBJECTFS_WRAP=1 -Wl,--wrap=aws_event_loop_group_new_default -Wl,--wrap=aws_explicit_aligned_allocator_new"
    wrap="$wrap -Wl,--wrap=aws_byte_buf_append"
fi
# shellcheck disable=SC2046,SC2086
$cc $wrap -O1 -g -fno-omit-frame-pointer "-fsanitize=$sanitizer" -DOBJECTFS_PLAIN_ALLOCATOR=1 -fPIC -shared \
    -fvisibility=hidden -w \
    -I"$root/native" -I"$prefix/include" -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
    "$work/_native.c" "$root"/native/*.c -o "$work/objectfs/_native.so" \
    -Wl,--exclude-libs,ALL -L"$prefix/lib" \
    -laws-c-s3 -laws-c-auth -laws-c-http -laws-c-compression -laws-c-sdkutils -laws-checksums -laws-c-io -laws-c-cal \
    -laws-c-common -ls2n $(test -e "$prefix/lib/libcrypto.a" && echo -lcrypto || echo -l:libcrypto.so) -lpthread -ldl -lrt -lm
case $sanitizer in
    address) runtime=libasan.so mistake='char *p = malloc(16); p[argc + 15] = 0; free(p);' words=heap-buffer-overflow ;;
    thread) runtime=libtsan.so words='data race'
        mistake='pthread_t t; pthread_create(&t, 0, race, 0); race(0); pthread_join(t, 0);' ;;
    undefined) runtime=libubsan.so mistake='volatile int n = 2147483647; n += argc;' words='runtime error' ;;
    *) echo "SANITIZER=$sanitizer: address, undefined or thread" >&2; exit 2 ;;
esac
cat >"$work/canary.c" <<END
#include <pthread.h>
#include <stdlib.h>
int shared;
void *race(void *p) { shared++; return p; }
int main(int argc, char **argv) { $mistake return shared == 77; }
END
$cc -g "-fsanitize=$sanitizer" "$work/canary.c" -o "$work/canary" -lpthread
"$work/canary" 2>"$work/canary.log" || true
grep -q "$words" "$work/canary.log" || { cat "$work/canary.log" >&2; exit 1; }
echo "canary: $words found, as it must be"
LD_PRELOAD=$($cc -print-file-name="$runtime")
export LD_PRELOAD
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=exitcode=99:second_deadlock_stack=1
# the finder of an editable installation of objectfs would come before $work, here and in the tests' child processes
cat >"$work/sitecustomize.py" <<'END'
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
END
export PYTHONMALLOC=malloc PYTHONPATH="$work"
module=$("$python" -c 'from objectfs import _native; print(_native.__file__)')
case $module in
    "$work"/*) echo "module: $module" ;;
    *) echo "the tests would run $module, which is not the sanitized one" >&2; exit 1 ;;
esac
cd "$root"
# a report must not vanish in the output that pytest captures and loses when the process dies
ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$work/report
UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$work/report
TSAN_OPTIONS=$TSAN_OPTIONS:log_path=$work/report
if [ -n "${RUN:-}" ]; then
    "$python" "$RUN" "$@" || status=$?
else
    "$python" -m pytest "${SANITIZED_TESTS:-tests/native}" -p no:cacheprovider \
        -o asyncio_default_fixture_loop_scope=function "$@" || status=$?
fi
cat "$work"/report.* 2>/dev/null || test "${status:-0}" -ne 0 || echo "the sanitizer reported nothing"
exit "${status:-0}"
