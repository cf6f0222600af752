public import CCurl
import CCurlDoors
import Glibc
import Platform

/// One transfer with libcurl: certificates verified, no redirects, limited time, no output. Its bodies are streamed.
public final class CurlTransfer {
    /// libcurl's error text, and the status if the server had answered.
    public struct Failure: Error {
        public var reason: String
        public var status: Int
        /// Whether another attempt can't succeed: a bad certificate, a refused password.
        public var isPermanent: Bool
    }

    /// What the callbacks use.
    private final class Streams {
        var send: (UnsafeMutableRawBufferPointer) throws -> Int = { _ in 0 }
        var receive: (UnsafeRawBufferPointer) throws -> Void = { _ in }
        var head: (String) -> Void = { _ in }
        /// What one of them threw.
        var failure: (any Error)?
    }

    private let handle: UnsafeMutableRawPointer
    private let errors: UnsafeMutablePointer<CChar>
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    private let streams = Streams()

    /// - Parameters:
    ///   - protocols: the schemes that the URL may have, separated by commas.
    ///   - milliseconds: for the whole attempt.
    ///   - caFile: certificates to trust instead of the system's.
    public init(_ url: String, protocols: String, timeout milliseconds: Int64, caFile: String? = nil) throws {
        _ = CurlTransfer.library
        guard let handle = curl_easy_init() else { throw Problem("could not start libcurl") }
        self.handle = handle
        errors = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errors.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        curldoor_set_error_buffer(handle, errors)
        set(CURLOPT_URL, url)
        set(CURLOPT_PROTOCOLS_STR, protocols)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TIMEOUT_MS, Int(milliseconds))
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(milliseconds))
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        if let caFile { set(CURLOPT_CAINFO, caFile) }
        let context = Unmanaged.passUnretained(streams).toOpaque()
        // Also where nothing is received or sent: libcurl would use standard input and output.
        curldoor_set_read(handle, { CurlTransfer.read($0, $1 * $2, $3) }, context)
        curldoor_set_write(handle, { CurlTransfer.write($0, $1 * $2, $3) }, context)
        curldoor_set_head(handle, { CurlTransfer.head($0, $1 * $2, $3) }, context)
    }

    deinit {
        curl_easy_cleanup(handle)
        for list in lists { curl_slist_free_all(list) }
        errors.deallocate()
    }

    public func set(_ option: CURLoption, _ value: Int) { curldoor_set_long(handle, option, value) }
    public func set(_ option: CURLoption, _ value: String) { curldoor_set_string(handle, option, value) }

    /// Must be called at most once for an option.
    public func set(_ option: CURLoption, _ values: [String]) {
        var head: UnsafeMutablePointer<curl_slist>?
        for value in values { head = curl_slist_append(head, value) }
        guard let head else { return }
        lists.append(head)
        curldoor_set_list(handle, option, head)
    }

    /// Takes what is sent from `source`, which fills a buffer, at least in part, and says how far; 0 at the end.
    public func send(_ source: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) { streams.send = source }

    /// Sends these bytes.
    public func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        send { room in
            let piece = rest.prefix(room.count)
            room.copyBytes(from: piece)
            rest.removeFirst(piece.count)
            return piece.count
        }
    }

    /// Gives what is received to `sink`, in order; otherwise it is discarded.
    public func receive(_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) { streams.receive = sink }

    /// Gives the lines of the answer's head to `sink`.
    public func receiveHead(_ sink: @escaping (String) -> Void) { streams.head = sink }

    /// - Returns: HTTP's status, or the mail server's last reply code; 0 when there was none.
    /// - Throws: `Failure`, and what source and sink throw.
    public func perform() throws -> Int {
        let code = withExtendedLifetime(streams) { curl_easy_perform(handle) }
        if let failure = streams.failure { throw failure }
        let status = long(CURLINFO_RESPONSE_CODE)
        guard code == CURLE_OK else {
            let said = String(cString: errors)
            throw Failure(
                reason: said.isEmpty ? String(cString: curl_easy_strerror(code)) : said, status: status,
                isPermanent: [
                    CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_USE_SSL_FAILED, CURLE_LOGIN_DENIED,
                    CURLE_URL_MALFORMAT,
                ].contains(code))
        }
        return status
    }

    /// A number that is known after the transfer; 0 when it isn't.
    public func long(_ info: CURLINFO) -> Int {
        var value = 0
        return curldoor_get_long(handle, info, &value) == CURLE_OK ? value : 0
    }

    private static func streams(_ context: UnsafeMutableRawPointer?) -> Streams? {
        context.map { Unmanaged<Streams>.fromOpaque($0).takeUnretainedValue() }
    }

    /// CURLOPT_READFUNCTION(3).
    private static func read(
        _ room: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?
    ) -> Int {
        guard let streams = streams(context) else { return Int(CURL_READFUNC_ABORT) }
        do { return try streams.send(UnsafeMutableRawBufferPointer(start: room, count: count)) } catch {
            streams.failure = error
            return Int(CURL_READFUNC_ABORT)
        }
    }

    /// CURLOPT_WRITEFUNCTION(3): any other number than `count` ends the transfer.
    private static func write(
        _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?
    ) -> Int {
        guard let streams = streams(context) else { return count + 1 }
        do { try streams.receive(UnsafeRawBufferPointer(start: bytes, count: count)) } catch {
            streams.failure = error
            return count + 1
        }
        return count
    }

    /// CURLOPT_HEADERFUNCTION(3).
    private static func head(
        _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?
    ) -> Int {
        streams(context)?.head(String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self))
        return count
    }

    /// libcurl must be initialised once, before the first thread uses it.
    private static let library: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}
