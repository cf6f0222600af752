import CCurl

/// One HTTP request. Redirections are not followed, and certificates are verified.
public struct HTTPRequest: Sendable {
    public enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case put = "PUT"
        case post = "POST"
        case delete = "DELETE"
    }
    public var method: Method
    public var url: String
    /// `Name: value`; `Name:` omits one that libcurl would add.
    public var headers: [String]
    /// Milliseconds for the whole attempt.
    public var timeout: Int64
    /// Certificates to trust instead of the system's.
    public var caFile: String?

    public init(_ method: Method, _ url: String, headers: [String] = [], timeout: Int64, caFile: String? = nil) {
        (self.method, self.url, self.headers, self.timeout, self.caFile) = (method, url, headers, timeout, caFile)
    }

    /// The body of a request.
    public struct Body {
        /// Bytes.
        let length: Int64
        /// Fills a buffer, at least in part, and says how far.
        let source: (UnsafeMutableRawBufferPointer) throws -> Int

        public init(length: Int64, source: @escaping (UnsafeMutableRawBufferPointer) throws -> Int) {
            (self.length, self.source) = (length, source)
        }

        public init(_ bytes: [UInt8]) {
            var rest = bytes[...]
            self.init(length: Int64(bytes.count)) { room in
                let piece = rest.prefix(room.count)
                room.copyBytes(from: piece)
                rest.removeFirst(piece.count)
                return piece.count
            }
        }
    }

    /// - Parameters:
    ///   - body: for `put` and `post`.
    ///   - receive: gets the body of the answer, whatever its status, in pieces.
    /// - Throws: `CurlTransfer.Failure` without an answer, or without all of it; what `receive` and the body's source
    ///   throw.
    public func perform(
        _ body: Body? = nil, receive: @escaping (UnsafeRawBufferPointer) throws -> Void = { _ in }
    ) throws -> HTTPAnswer {
        let transfer = try CurlTransfer(url, protocols: "http,https", timeout: timeout, caFile: caFile)
        transfer.set(CURLOPT_HTTPHEADER, headers)
        switch method {
        case .get: transfer.set(CURLOPT_HTTPGET, 1)
        case .head: transfer.set(CURLOPT_NOBODY, 1)
        case .delete: transfer.set(CURLOPT_CUSTOMREQUEST, method.rawValue)
        case .put:
            transfer.set(CURLOPT_UPLOAD, 1)
            transfer.set(CURLOPT_INFILESIZE, Int(body?.length ?? 0))
        case .post:
            transfer.set(CURLOPT_POST, 1)
            transfer.set(CURLOPT_POSTFIELDSIZE, Int(body?.length ?? 0))
        }
        if let body { transfer.send(body.source) }
        transfer.receive(receive)
        var lines: [String] = []
        transfer.receiveHead { lines.append($0) }
        let status = try transfer.perform()
        return HTTPAnswer(status: status, lines, retryAfter: transfer.long(CURLINFO_RETRY_AFTER))
    }
}

/// The head of an answer.
public struct HTTPAnswer: Sendable {
    public let status: Int
    /// In order, the names in lower case.
    public let headers: [(name: String, value: String)]
    /// The seconds in `Retry-After`; 0 without one.
    public let retryAfter: Int

    init(status: Int, _ lines: [String], retryAfter: Int) {
        var headers: [(String, String)] = []
        for line in lines {
            // An answer may come after others, such as "100 Continue".
            if line.hasPrefix("HTTP/") { headers = [] }
            guard let colon = line.firstIndex(of: ":"), !line.hasPrefix("HTTP/") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            headers.append(
                (line[..<colon].lowercased(), String(value.reversed().drop(while: \.isWhitespace).reversed())))
        }
        (self.status, self.headers, self.retryAfter) = (status, headers, retryAfter)
    }

    /// The first value of a header.
    public func value(_ name: String) -> String? { headers.first { $0.name == name.lowercased() }?.value }
}
