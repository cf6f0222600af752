#include "CCurlDoors.h"

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

static CURLcode set_both(CURL *handle, CURLoption option, curl_write_callback function, CURLoption data, void *context)
{
    CURLcode code = curl_easy_setopt(handle, option, function);
    return code == CURLE_OK ? curl_easy_setopt(handle, data, context) : code;
}

CURLcode curldoor_set_read(CURL *handle, curl_read_callback function, void *context)
{
    return set_both(handle, CURLOPT_READFUNCTION, function, CURLOPT_READDATA, context);
}
CURLcode curldoor_set_write(CURL *handle, curl_write_callback function, void *context)
{
    return set_both(handle, CURLOPT_WRITEFUNCTION, function, CURLOPT_WRITEDATA, context);
}
CURLcode curldoor_set_head(CURL *handle, curl_write_callback function, void *context)
{
    return set_both(handle, CURLOPT_HEADERFUNCTION, function, CURLOPT_HEADERDATA, context);
}
