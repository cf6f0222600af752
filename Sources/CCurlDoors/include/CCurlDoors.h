#pragma once
#include <curl/curl.h>
#include <stddef.h>

// curl_easy_setopt and curl_easy_getinfo are variadic, which Swift doesn't import: one typed function per kind of
// argument.

CURLcode curldoor_set_long(CURL *handle, CURLoption option, long value);
CURLcode curldoor_set_string(CURL *handle, CURLoption option, const char *value);
CURLcode curldoor_set_list(CURL *handle, CURLoption option, struct curl_slist *value);
/// CURLOPT_ERRORBUFFER; `buffer` has CURL_ERROR_SIZE bytes.
CURLcode curldoor_set_error_buffer(CURL *handle, char *buffer);
CURLcode curldoor_get_long(CURL *handle, CURLINFO info, long *value);

/// What is sent: CURLOPT_READFUNCTION(3).
CURLcode curldoor_set_read(CURL *handle, curl_read_callback function, void *context);
/// The body that is received: CURLOPT_WRITEFUNCTION(3).
CURLcode curldoor_set_write(CURL *handle, curl_write_callback function, void *context);
/// The lines of the head that is received: CURLOPT_HEADERFUNCTION(3).
CURLcode curldoor_set_head(CURL *handle, curl_write_callback function, void *context);
