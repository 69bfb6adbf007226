#include "wlad.h"

int
main(int argc, char **argv)
{
	return wlad_main(argc, argv);
}
