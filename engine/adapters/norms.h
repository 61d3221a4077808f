/*
 * adapters/norms.h - inner products of what adapters do to a module, without forming it.
 */
#ifndef ENGINE_ADAPTERS_NORMS_H
#define ENGINE_ADAPTERS_NORMS_H

#include "engine/adapters/adapter.h"

/* <scale1 B1 A1, scale2 B2 A2>; sizes must agree. */
double module_inner_product(const struct adapter_module *x, const struct adapter_module *y);
/* |scale B A| in Frobenius' norm. */
double module_norm(const struct adapter_module *module);

#endif
