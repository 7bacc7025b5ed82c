/* Three things that s2n knows of a TLS connection and that aws-c-io has no option for; with calls that the linker sends
 * here (linked.h).
 *
 * How long a failure is kept back. s2n "blinds" a failed connection: for 10 to 30 s nobody is to be told, so that the
 * time of a failure tells an attacker nothing, and aws-c-io closes the connection, and fails the request, only then. A
 * certificate that is not trusted would be an error after 30 s, and a record damaged on its way a retry after 30 s. The
 * attack meant (Lucky 13) needs very many failures that somebody else can provoke and time, of records in CBC mode; a
 * client with a bounded number of attempts is no such oracle. A second at most remains, a third of it at least.
 *
 * Why it failed. aws-c-io has one error code for all that can go wrong.
 *
 * How much goes into one record. s2n sends 8 KiB at a time; with 16, TLS's most, an upload takes a fifteenth less
 * processor time here, and a server that reads record by record a fifth less (docs/design/0005-cpu.md). */
#include "handshake.h"

#include <string.h>

#if defined(OBJECTFS_WRAP)

#    include <s2n.h>

#    define LONGEST_BLINDING 1 /* seconds */

struct s2n_config *__real_s2n_config_new(void);

struct s2n_config *__wrap_s2n_config_new(void) {
    struct s2n_config *config = __real_s2n_config_new();
    if (config != NULL) {
        s2n_config_set_max_blinding_delay(config, LONGEST_BLINDING); /* cannot fail */
    }
    return config;
}

static struct {
    char server[256]; /* as long as a name can be */
    const char *why;
} s_last;

static char s_busy;

/* Nobody waits here: who comes at the same time as another goes without. */
static bool s_enter(void) {
    return !__atomic_test_and_set(&s_busy, __ATOMIC_ACQUIRE);
}

static void s_leave(void) {
    __atomic_clear(&s_busy, __ATOMIC_RELEASE);
}

static void s_copy(char *to, size_t size, const char *from) {
    size_t length = strnlen(from, size - 1);
    memcpy(to, from, length);
    to[length] = 0;
}

int __real_s2n_negotiate(struct s2n_connection *connection, s2n_blocked_status *blocked);

int __wrap_s2n_negotiate(struct s2n_connection *connection, s2n_blocked_status *blocked) {
    s2n_connection_prefer_throughput(connection); /* cannot fail; before anything is sent, and again harmless */
    int code = __real_s2n_negotiate(connection, blocked);
    int error = code == S2N_SUCCESS ? 0 : s2n_errno;
    if (code != S2N_SUCCESS && s2n_error_get_type(error) != S2N_ERR_T_BLOCKED && s_enter()) {
        const char *server = s2n_get_server_name(connection);
        s_copy(s_last.server, sizeof(s_last.server), server == NULL ? "" : server);
        s_last.why = s2n_strerror(error, "EN");
        s_leave();
        s2n_errno = error; /* the caller looks at it too */
    }
    return code;
}

bool objectfs_handshake_failure(char *server, size_t size, const char **why) {
    if (!s_enter()) {
        return false;
    }
    *why = s_last.why;
    s_copy(server, size, s_last.server);
    s_leave();
    return *why != NULL;
}

#else

bool objectfs_handshake_failure(char *server, size_t size, const char **why) {
    (void)server;
    (void)size;
    (void)why;
    return false;
}

#endif
