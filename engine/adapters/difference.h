/*
 * adapters/difference.h - how far one adapter's effect is from another's.
 */
#ifndef ENGINE_ADAPTERS_DIFFERENCE_H
#define ENGINE_ADAPTERS_DIFFERENCE_H

#include "engine/adapters/adapter.h"

struct adapter_difference {
	double max; /* largest |difference| of any number of scale * B A, over all modules */
	double rms; /* root of the mean square of them all */
	double
	    relative; /* Frobenius norm of the difference / that of REFERENCE; 0 when both are 0 */
};

/* Both must change the same modules of the same sizes (else T2L_EMISMATCH names one); ranks may
 * differ. No matrix [out, in] is formed: one row at a time. STEP (may be NULL) is called before
 * each module; what it returns other than T2L_OK ends the work. */
enum t2l_status adapter_difference(const struct t2l_adapter *reference,
    const struct t2l_adapter *other, enum t2l_status (*step)(void *user, struct t2l_error *err),
    void *user, struct adapter_difference *out, struct t2l_error *err);

#endif
