/* The log of the C library, for OBJECTFS_CRT_LOG: without what is signed. The signing writes all headers down, and with
 * them session tokens and customers' keys; of it only errors are logged. */
#include <string.h>

#include <aws/auth/auth.h>
#include <aws/common/logging.h>

#include "discreet.h"

static enum aws_log_level (*s_level)(struct aws_logger *, aws_log_subject_t);
static struct aws_logger_vtable s_discreet;

static enum aws_log_level s_discreet_level(struct aws_logger *logger, aws_log_subject_t subject) {
    enum aws_log_level level = s_level(logger, subject);
    return subject == AWS_LS_AUTH_SIGNING && level > AWS_LL_ERROR ? AWS_LL_ERROR : level;
}

void objectfs_discreet_logger(struct aws_logger *logger) {
    struct aws_logger_vtable changed = {
        .log = logger->vtable->log,
        .get_log_level = s_discreet_level,
        .clean_up = logger->vtable->clean_up,
        .set_log_level = logger->vtable->set_log_level,
    };
    s_level = logger->vtable->get_log_level;
    memcpy(&s_discreet, &changed, sizeof(changed)); /* its members are constant */
    logger->vtable = &s_discreet;
}
