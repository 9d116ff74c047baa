// Symbol versions of libc that a plugin asks for. On x86-64 those that moved into libc.so.6 with glibc 2.34 are pinned
// to the versions of glibc 2.2.5, so that a plugin linked on a new system loads on an old one.
#pragma once

#include <pthread.h>

#if defined(__x86_64__) && defined(__GLIBC__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.2.5");
__asm__(".symver pthread_detach, pthread_detach@GLIBC_2.2.5");
__asm__(".symver pthread_key_create, pthread_key_create@GLIBC_2.2.5");
__asm__(".symver pthread_getspecific, pthread_getspecific@GLIBC_2.2.5");
__asm__(".symver pthread_setspecific, pthread_setspecific@GLIBC_2.2.5");
__asm__(".symver pthread_attr_setstacksize, pthread_attr_setstacksize@GLIBC_2.2.5");
__asm__(".symver pthread_attr_setdetachstate, pthread_attr_setdetachstate@GLIBC_2.2.5");
__asm__(".symver pthread_sigmask, pthread_sigmask@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#endif

/// What pthread_atfork calls; pthread_atfork itself is a static function that needs the start files of a shared object.
extern "C" int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void *handle);
