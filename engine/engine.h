/*
 * engine/engine.h - what an engine is to the rooms that compute on it.
 *
 * Threads may hold several sessions on one engine, but its backend serves one at a time: whoever
 * calls operations holds the lock, for one step (a few milliseconds), and the lock is given in
 * the order in which it was asked for, so that no session starves another.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/t2l.h"
#include "engine/tensor/backend.h"

const struct backend *engine_backend(const struct t2l_engine *engine);
bool engine_precise(const struct t2l_engine *engine);
void engine_lock(struct t2l_engine *engine);
void engine_unlock(struct t2l_engine *engine);

#endif
