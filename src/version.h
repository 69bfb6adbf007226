/*
 * version: what this build is; the only file that includes the build's config.h.
 */
#ifndef WLAD_VERSION_H
#define WLAD_VERSION_H

#ifndef WLAD_SYSCONFDIR
#define WLAD_SYSCONFDIR "/etc"
#endif

const char *version_string(void);
const char *version_build(void);

/* "libevent 2.1.12-stable", ...; NULL after the last. */
const char *version_library(int i);

#endif
