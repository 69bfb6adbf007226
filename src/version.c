#include "version.h"

#include "config.h"

const char *
version_string(void)
{
	return PACKAGE_VERSION;
}

const char *
version_build(void)
{
	return WLAD_BUILD_OPTIONS;
}

const char *
version_library(int i)
{
	static const char *const libraries[] = {
	    "libevent " WLAD_LIBEVENT_VERSION,
	    "libconfig " WLAD_LIBCONFIG_VERSION,
	    "OpenSSL " WLAD_OPENSSL_VERSION,
	};

	if (i < 0 || (unsigned)i >= sizeof(libraries) / sizeof(libraries[0]))
		return 0;
	return libraries[i];
}
