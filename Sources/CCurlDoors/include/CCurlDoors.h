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

/// Bytes to send, and how many of them have been sent.
struct curldoor_source {
    const char *bytes;
    size_t count;
    size_t sent;
};
/// Sends `source` as an upload (CURLOPT_READFUNCTION); it and its bytes must outlive the transfer.
CURLcode curldoor_send(CURL *handle, struct curldoor_source *source);

/// The first bytes of the answer; the rest is discarded.
struct curldoor_sink {
    char *bytes;
    size_t capacity;
    size_t count;
};
/// Receives into `sink` (CURLOPT_WRITEFUNCTION).
CURLcode curldoor_receive(CURL *handle, struct curldoor_sink *sink);
