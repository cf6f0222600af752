#include "CCurlDoors.h"
#include <string.h>

CURLcode curldoor_set_long(CURL *handle, CURLoption option, long value) { return curl_easy_setopt(handle, option, value); }
CURLcode curldoor_set_string(CURL *handle, CURLoption option, const char *value)
{
    return curl_easy_setopt(handle, option, value);
}
CURLcode curldoor_set_list(CURL *handle, CURLoption option, struct curl_slist *value)
{
    return curl_easy_setopt(handle, option, value);
}
CURLcode curldoor_set_error_buffer(CURL *handle, char *buffer)
{
    return curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, buffer);
}
CURLcode curldoor_get_long(CURL *handle, CURLINFO info, long *value) { return curl_easy_getinfo(handle, info, value); }

static size_t read_source(char *buffer, size_t size, size_t items, void *context)
{
    struct curldoor_source *source = context;
    size_t room = size * items, left = source->count - source->sent;
    size_t count = left < room ? left : room;
    memcpy(buffer, source->bytes + source->sent, count);
    source->sent += count;
    return count;
}

CURLcode curldoor_send(CURL *handle, struct curldoor_source *source)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_READFUNCTION, read_source);
    if (code == CURLE_OK) code = curl_easy_setopt(handle, CURLOPT_READDATA, source);
    if (code == CURLE_OK) code = curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    return code;
}

static size_t write_sink(char *buffer, size_t size, size_t items, void *context)
{
    struct curldoor_sink *sink = context;
    size_t count = size * items, room = sink->capacity - sink->count;
    size_t kept = count < room ? count : room;
    memcpy(sink->bytes + sink->count, buffer, kept);
    sink->count += kept;
    return count;
}

CURLcode curldoor_receive(CURL *handle, struct curldoor_sink *sink)
{
    CURLcode code = curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, write_sink);
    return code == CURLE_OK ? curl_easy_setopt(handle, CURLOPT_WRITEDATA, sink) : code;
}
