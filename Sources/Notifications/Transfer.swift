import CCurl
import CCurlDoors
import Glibc
import Platform

/// One transfer with libcurl: certificates verified, no redirects, limited time, no output.
struct Transfer {
    var url: String
    /// Milliseconds for the whole attempt.
    var timeout: Int64
    /// Certificates to trust instead of the system's.
    var caFile: String?
    var headers: [String] = []
    var body: [UInt8] = []
    /// For a mail server.
    var mail: Mail?

    struct Mail {
        var from: String
        var to: [String]
        var requiresTLS: Bool
        var user: String?
        var password: String?
    }

    struct Answer {
        /// HTTP's status, or the mail server's last reply code; 0 when there was none.
        var status: Int
        /// The seconds in `Retry-After`; 0 without one.
        var retryAfter: Int
        /// At most 2 kB.
        var text: String
    }

    /// libcurl's error text, and the status if the server had answered.
    struct Failure: Error {
        var reason: String
        var status: Int
        /// Whether another attempt can't succeed: a bad certificate, a refused password.
        var isPermanent: Bool
    }

    func perform() throws -> Answer {
        _ = Transfer.library
        guard let handle = curl_easy_init() else { throw Problem("could not start libcurl") }
        defer { curl_easy_cleanup(handle) }
        var lists: [UnsafeMutablePointer<curl_slist>] = []
        defer { for list in lists { curl_slist_free_all(list) } }
        func list(_ option: CURLoption, _ values: [String]) {
            var head: UnsafeMutablePointer<curl_slist>?
            for value in values { head = curl_slist_append(head, value) }
            guard let head else { return }
            lists.append(head)
            curldoor_set_list(handle, option, head)
        }
        func set(_ option: CURLoption, _ value: Int) { curldoor_set_long(handle, option, value) }
        func set(_ option: CURLoption, _ value: String) { curldoor_set_string(handle, option, value) }

        set(CURLOPT_URL, url)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TIMEOUT_MS, Int(timeout))
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(timeout))
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        if let caFile { set(CURLOPT_CAINFO, caFile) }

        let errors = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        errors.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        let received = UnsafeMutablePointer<CChar>.allocate(capacity: 2048)
        let sink = UnsafeMutablePointer<curldoor_sink>.allocate(capacity: 1)
        sink.initialize(to: curldoor_sink(bytes: received, capacity: 2048, count: 0))
        let source = UnsafeMutablePointer<curldoor_source>.allocate(capacity: 1)
        defer {
            errors.deallocate()
            received.deallocate()
            sink.deallocate()
            source.deallocate()
        }
        curldoor_set_error_buffer(handle, errors)
        curldoor_receive(handle, sink)

        let code = body.withUnsafeBytes { bytes in
            source.initialize(
                to: curldoor_source(
                    bytes: bytes.assumingMemoryBound(to: CChar.self).baseAddress, count: bytes.count, sent: 0))
            if let mail {
                set(CURLOPT_PROTOCOLS_STR, "smtp,smtps")
                set(CURLOPT_USE_SSL, Int(mail.requiresTLS ? CURLUSESSL_ALL.rawValue : CURLUSESSL_TRY.rawValue))
                set(CURLOPT_MAIL_FROM, "<\(mail.from)>")
                list(CURLOPT_MAIL_RCPT, mail.to.map { "<\($0)>" })
                if let user = mail.user { set(CURLOPT_USERNAME, user) }
                if let password = mail.password { set(CURLOPT_PASSWORD, password) }
                curldoor_send(handle, source)
            } else {
                set(CURLOPT_PROTOCOLS_STR, "http,https")
                list(CURLOPT_HTTPHEADER, headers)
                set(CURLOPT_POST, 1)
                set(CURLOPT_POSTFIELDSIZE, bytes.count)
                curldoor_send(handle, source)
                // An upload turns POST into PUT; set it again.
                set(CURLOPT_UPLOAD, 0)
                set(CURLOPT_POST, 1)
            }
            return curl_easy_perform(handle)
        }
        func long(_ info: CURLINFO) -> Int {
            var value = 0
            return curldoor_get_long(handle, info, &value) == CURLE_OK ? value : 0
        }
        let status = long(CURLINFO_RESPONSE_CODE)
        guard code == CURLE_OK else {
            var said = String(cString: errors)
            if said.isEmpty { said = String(cString: curl_easy_strerror(code)) }
            if mail != nil, status >= 400, !said.contains("\(status)") { said += " (reply \(status))" }
            throw Failure(
                reason: said, status: status,
                isPermanent: [
                    CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_USE_SSL_FAILED, CURLE_LOGIN_DENIED,
                    CURLE_URL_MALFORMAT,
                ].contains(code) || (mail != nil && (500..<600).contains(status)))
        }
        return Answer(
            status: status, retryAfter: long(CURLINFO_RETRY_AFTER),
            text: String(
                decoding: UnsafeRawBufferPointer(start: received, count: sink.pointee.count), as: UTF8.self))
    }

    /// libcurl must be initialised once, before the first thread uses it.
    private static let library: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}
