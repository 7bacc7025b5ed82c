/* One bound of connections over several engines.
 *
 * aws-c-s3 bounds the connections of one client, and a client of ours has one of those for each region, port and
 * service that it talks to. What they take from and give back to their connection pools passes through here (--wrap,
 * cmake/Crt.cmake): beyond the bound a request waits, in the order of asking, until any engine has given one back.
 * A request has its connection for one answer, so each wait ends. Connections that lie idle in a pool are not counted.
 *
 * Where the linker cannot do that, each engine is bounded alone.
 *
 * Lifetime: a gate counts its Shared object (shared.pyx), each connection pool that was made behind it until that has
 * shut down, and each request that waits (which its pool outlives).
 */
#include "gate.h"

#include <stdlib.h>

#if defined(OBJECTFS_WRAP)
#    include <pthread.h>

#    include <aws/common/allocator.h>
#    include <aws/common/hash_table.h>
#    include <aws/http/connection_manager.h>

struct request {
    struct request *next;
    struct objectfs_gate *gate;
    struct aws_http_connection_manager *manager;
    aws_http_connection_manager_on_connection_setup_fn *callback;
    void *user_data;
};

struct objectfs_gate {
    size_t references;
    size_t limit;
    size_t used;
    size_t most;
    size_t waiting;
    struct request *first;
    struct request *last;
};

struct pool {
    struct objectfs_gate *gate;
    struct aws_http_connection_manager *manager;
    aws_http_connection_manager_shutdown_complete_fn *ended;
    void *user_data;
    bool making; /* its manager is not there yet; who makes it frees the pool if it fails */
};

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER; /* all below, and what is in gates */
static struct aws_hash_table s_pools;                      /* manager -> struct pool */
static bool s_ready;
static __thread struct objectfs_gate *t_gate;

struct aws_http_connection_manager *__real_aws_http_connection_manager_new(
    struct aws_allocator *allocator,
    const struct aws_http_connection_manager_options *options);
void __real_aws_http_connection_manager_acquire_connection(
    struct aws_http_connection_manager *manager,
    aws_http_connection_manager_on_connection_setup_fn *callback,
    void *user_data);
int __real_aws_http_connection_manager_release_connection(
    struct aws_http_connection_manager *manager,
    struct aws_http_connection *connection);

bool objectfs_gate_works(void) {
    return true;
}

struct objectfs_gate *objectfs_gate_new(size_t limit) {
    struct objectfs_gate *gate = calloc(1, sizeof(*gate));
    if (gate != NULL) {
        gate->references = 1;
        gate->limit = limit > 0 ? limit : 1;
    }
    return gate;
}

/* Under the lock. */
static void s_release(struct objectfs_gate *gate) {
    if (--gate->references == 0) {
        free(gate);
    }
}

void objectfs_gate_release(struct objectfs_gate *gate) {
    pthread_mutex_lock(&s_lock);
    s_release(gate);
    pthread_mutex_unlock(&s_lock);
}

void objectfs_gate_enter(struct objectfs_gate *gate) {
    t_gate = gate;
}

void objectfs_gate_count(struct objectfs_gate *gate, size_t *used, size_t *most, size_t *waiting) {
    pthread_mutex_lock(&s_lock);
    *used = gate->used;
    *most = gate->most;
    *waiting = gate->waiting;
    pthread_mutex_unlock(&s_lock);
}

size_t objectfs_gate_limit(struct objectfs_gate *gate) {
    return gate->limit; /* does not change */
}

void objectfs_gates_after_fork(void) {
    pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    s_lock = fresh;
    s_ready = false; /* the parent's table stays where it is */
    t_gate = NULL;
}

static void s_pool_ended(void *user_data) {
    struct pool *pool = user_data;
    aws_http_connection_manager_shutdown_complete_fn *ended = pool->ended;
    void *ended_data = pool->user_data;
    pthread_mutex_lock(&s_lock);
    if (!pool->making) {
        if (pool->manager != NULL) {
            aws_hash_table_remove(&s_pools, pool->manager, NULL, NULL);
        }
        s_release(pool->gate);
        free(pool);
    }
    pthread_mutex_unlock(&s_lock);
    if (ended != NULL) {
        ended(ended_data);
    }
}

struct aws_http_connection_manager *__wrap_aws_http_connection_manager_new(
    struct aws_allocator *allocator,
    const struct aws_http_connection_manager_options *options) {
    struct pool *pool = t_gate != NULL ? calloc(1, sizeof(*pool)) : NULL;
    if (pool == NULL) {
        return __real_aws_http_connection_manager_new(allocator, options);
    }
    struct aws_http_connection_manager_options ours = *options;
    pool->gate = t_gate;
    pool->making = true;
    pool->ended = options->shutdown_complete_callback;
    pool->user_data = options->shutdown_complete_user_data;
    ours.shutdown_complete_callback = s_pool_ended;
    ours.shutdown_complete_user_data = pool;
    pthread_mutex_lock(&s_lock);
    ++pool->gate->references;
    if (!s_ready) {
        s_ready = aws_hash_table_init(
                      &s_pools, aws_default_allocator(), 16, aws_hash_ptr, aws_ptr_eq, NULL, NULL) == AWS_OP_SUCCESS;
    }
    pthread_mutex_unlock(&s_lock);
    struct aws_http_connection_manager *manager = __real_aws_http_connection_manager_new(allocator, &ours);
    pthread_mutex_lock(&s_lock);
    pool->making = false;
    if (manager == NULL) { /* some failures have been called back, others are not */
        s_release(pool->gate);
        free(pool);
    } else if (s_ready && aws_hash_table_put(&s_pools, manager, pool, NULL) == AWS_OP_SUCCESS) {
        pool->manager = manager;
    }
    pthread_mutex_unlock(&s_lock);
    return manager;
}

/* Under the lock. */
static struct objectfs_gate *s_gate_of(struct aws_http_connection_manager *manager) {
    struct aws_hash_element *element = NULL;
    if (!s_ready || aws_hash_table_find(&s_pools, manager, &element) != AWS_OP_SUCCESS || element == NULL) {
        return NULL;
    }
    return ((struct pool *)element->value)->gate;
}

/* Under the lock: who is next, if there is a connection for it. */
static struct request *s_next(struct objectfs_gate *gate) {
    struct request *request = gate->first;
    if (request == NULL || gate->used >= gate->limit) {
        return NULL;
    }
    gate->first = request->next;
    if (gate->first == NULL) {
        gate->last = NULL;
    }
    --gate->waiting;
    ++gate->used;
    gate->most = gate->used > gate->most ? gate->used : gate->most;
    return request;
}

static void s_begin(struct request *request);

/* A connection was given back, or could not be had. */
static void s_returned(struct objectfs_gate *gate) {
    pthread_mutex_lock(&s_lock);
    --gate->used;
    struct request *next = s_next(gate);
    s_release(gate);
    pthread_mutex_unlock(&s_lock);
    if (next != NULL) {
        s_begin(next);
    }
}

static void s_acquired(struct aws_http_connection *connection, int error_code, void *user_data) {
    struct request *request = user_data;
    struct objectfs_gate *gate = request->gate;
    aws_http_connection_manager_on_connection_setup_fn *callback = request->callback;
    void *callback_data = request->user_data;
    free(request);
    if (error_code != AWS_ERROR_SUCCESS) {
        aws_raise_error(error_code); /* for the retry strategy, which is asked next, on this thread, and not told why */
    }
    callback(connection, error_code, callback_data);
    if (connection == NULL) {
        s_returned(gate);
    }
}

static void s_begin(struct request *request) {
    __real_aws_http_connection_manager_acquire_connection(request->manager, s_acquired, request);
}

void __wrap_aws_http_connection_manager_acquire_connection(
    struct aws_http_connection_manager *manager,
    aws_http_connection_manager_on_connection_setup_fn *callback,
    void *user_data) {
    struct request *request = malloc(sizeof(*request));
    pthread_mutex_lock(&s_lock);
    struct objectfs_gate *gate = request != NULL ? s_gate_of(manager) : NULL;
    if (gate == NULL) {
        pthread_mutex_unlock(&s_lock);
        free(request);
        __real_aws_http_connection_manager_acquire_connection(manager, callback, user_data);
        return;
    }
    request->next = NULL;
    request->gate = gate;
    request->manager = manager;
    request->callback = callback;
    request->user_data = user_data;
    ++gate->references; /* until the connection is returned */
    if (gate->last != NULL) {
        gate->last->next = request;
    } else {
        gate->first = request;
    }
    gate->last = request;
    ++gate->waiting;
    struct request *next = s_next(gate);
    pthread_mutex_unlock(&s_lock);
    if (next != NULL) {
        s_begin(next);
    }
}

int __wrap_aws_http_connection_manager_release_connection(
    struct aws_http_connection_manager *manager,
    struct aws_http_connection *connection) {
    pthread_mutex_lock(&s_lock);
    struct objectfs_gate *gate = s_gate_of(manager);
    pthread_mutex_unlock(&s_lock);
    int result = __real_aws_http_connection_manager_release_connection(manager, connection);
    if (gate != NULL) { /* the reference that came with the connection has kept it */
        s_returned(gate);
    }
    return result;
}

#else

bool objectfs_gate_works(void) {
    return false;
}

struct objectfs_gate *objectfs_gate_new(size_t limit) {
    (void)limit;
    return malloc(1);
}

void objectfs_gate_release(struct objectfs_gate *gate) {
    free(gate);
}

void objectfs_gate_enter(struct objectfs_gate *gate) {
    (void)gate;
}

void objectfs_gate_count(struct objectfs_gate *gate, size_t *used, size_t *most, size_t *waiting) {
    (void)gate;
    *used = *most = *waiting = 0;
}

size_t objectfs_gate_limit(struct objectfs_gate *gate) {
    (void)gate;
    return (size_t)-1;
}

void objectfs_gates_after_fork(void) {
}

#endif
