/* error.c - builds the engine's error messages. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/error.h"

enum t2l_status
t2l_fail(struct t2l_error *err, enum t2l_status status, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return status;
	err->status = status;
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	return status;
}

enum t2l_status
t2l_context(struct t2l_error *err, const char *format, ...)
{
	char inner[sizeof err->message];
	va_list args;
	size_t used;

	if (err == NULL)
		return T2L_EINVAL;
	memcpy(inner, err->message, sizeof inner);
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof err->message - used, ": %s", inner);
	return err->status;
}

static enum t2l_status
status_of_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return T2L_ENOENT;
	case ENOMEM:
		return T2L_ENOMEM;
	default:
		return T2L_EIO;
	}
}

enum t2l_status
t2l_fail_errno(struct t2l_error *err, const char *format, ...)
{
	int number = errno;
	enum t2l_status status = status_of_errno(number);
	va_list args;
	size_t used;

	if (err == NULL)
		return status;
	err->status = status;
	va_start(args, format);
	vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof err->message - used, ": %s", strerror(number));
	return status;
}
