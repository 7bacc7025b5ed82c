/* Mistakes on purpose: scripts/sanitize runs nothing else unless the one for its tool is reported. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

static int shared;

static void *race(void *p) {
    for (int i = 0; i < 1000; i++)
        shared++;
    return p;
}

void address_mistake(void) {
    volatile size_t end = 16;
    volatile char *p = malloc(end);
    p[end] = 0;
    free((void *)p);
}

void undefined_mistake(void) {
    volatile int n = INT_MAX;
    n = n + 1;
}

void thread_mistake(void) {
    pthread_t other;
    pthread_create(&other, NULL, race, NULL);
    race(NULL);
    pthread_join(other, NULL);
}
