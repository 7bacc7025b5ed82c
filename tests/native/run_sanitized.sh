#!/bin/sh
# Builds the engine's module with AddressSanitizer and runs tests/native under it.
#
#   tests/native/run_sanitized.sh PREFIX [pytest arguments]
#
# PREFIX holds the C libraries (scripts/build-crt PREFIX). The Python in $PYTHON (default python3) needs cython,
# pytest, pytest-asyncio, hypothesis and what objectfs needs. Leaks are the memory tracer's business: Python itself
# keeps memory to the end. First a canary: reading one byte beyond a malloc must end the process, or nothing is proved.
set -eu
prefix=${1:?the prefix with the C libraries}
shift
python=${PYTHON:-python3}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/src/objectfs" "$work/objectfs"
rm -f "$work"/objectfs/_native*.so
(cd "$root/native" && "$python" -m cython -3 -I . --module-name objectfs._native _native.pyx -o "$work/_native.c")
# shellcheck disable=SC2046
${CC:-gcc} -O1 -g -fno-omit-frame-pointer -fsanitize=address -fPIC -shared -fvisibility=hidden -w \
    -I"$root/native" -I"$prefix/include" -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
    "$work/_native.c" -o "$work/objectfs/_native.so" -Wl,--exclude-libs,ALL -L"$prefix/lib" \
    -laws-c-s3 -laws-c-auth -laws-c-http -laws-c-compression -laws-c-sdkutils -laws-checksums -laws-c-io -laws-c-cal \
    -laws-c-common -ls2n $(test -e "$prefix/lib/libcrypto.a" && echo -lcrypto || echo -l:libcrypto.so) -lpthread -ldl -lrt -lm
export LD_PRELOAD="$(${CC:-gcc} -print-file-name=libasan.so)"
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=0
# the finder of an editable installation of objectfs would come before $work, here and in the tests' child processes
cat >"$work/sitecustomize.py" <<'END'
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
END
export PYTHONMALLOC=malloc PYTHONPATH="$work"
canary='
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memcpy.argtypes = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
block = libc.malloc(16)
target = ctypes.create_string_buffer(17)
libc.memcpy(ctypes.addressof(target), block, 17)
'
if "$python" -c "$canary" 2>"$work/canary"; then
    echo "the canary survived: AddressSanitizer is not on" >&2
    exit 1
fi
grep -q 'heap-buffer-overflow' "$work/canary" || { cat "$work/canary" >&2; exit 1; }
echo "canary: heap-buffer-overflow found, as it must be"
module=$("$python" -c 'from objectfs import _native; print(_native.__file__)')
case $module in
    "$work"/*) echo "module: $module" ;;
    *) echo "the tests would run $module, which is not the sanitized one" >&2; exit 1 ;;
esac
cd "$root"
# a report must not vanish in the output that pytest captures and loses when the process dies
ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$work/report "$python" -m pytest "${SANITIZED_TESTS:-tests/native}" -p no:cacheprovider -o asyncio_default_fixture_loop_scope=function "$@" || status=$?
cat "$work"/report.* 2>/dev/null || test "${status:-0}" -ne 0 || echo "AddressSanitizer reported nothing"
exit "${status:-0}"
