/* main.c - the program's entry. */

#include <stdio.h>

#include "engine/t2l.h"

int
main(void)
{
	printf("t2l %s\n", t2l_version());
	return 0;
}
