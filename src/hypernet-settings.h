/*
 * src/hypernet-settings.h - settings that a hypernet, once trained, does not follow.
 */
#ifndef SRC_HYPERNET_SETTINGS_H
#define SRC_HYPERNET_SETTINGS_H

#include "engine/t2l.h"
#include "src/context.h"

/* Notes where rank, alpha, target modules or embedding that the settings ask for differ from what
 * HYPERNET makes: they are fixed when it is trained. */
void hypernet_settings_tell(struct context *ctx, const struct t2l_hypernet *hypernet);

#endif
