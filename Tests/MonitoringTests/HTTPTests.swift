import HTTP
import Platform
import Support
import Testing

/// Requests of any kind, with bodies that never are in memory as a whole.
@Suite struct HTTPTests {
    private let server: LoopbackServer
    init() throws { server = try LoopbackServer("http_server.py") }

    private func request(_ method: HTTPRequest.Method, _ path: String, _ headers: [String] = []) -> HTTPRequest {
        HTTPRequest(
            method, "http://127.0.0.1:\(server.port)/\(path)", headers: headers + ["Expect:"], timeout: 300_000)
    }

    @Test func `an object is put, asked for, fetched and deleted`() throws {
        let length = 5 << 20
        var sent = 0
        var largest = 0
        let body = HTTPRequest.Body(length: Int64(length)) { room in
            let count = min(room.count, length - sent)
            for index in 0..<count { room[index] = UInt8(truncatingIfNeeded: (sent + index) / 1000) }
            sent += count
            largest = max(largest, count)
            return count
        }
        let put = try request(.put, "object", ["X-Tidemark: put"]).perform(body)
        #expect(put.status == 201 && put.value("etag") == "\"\(length)\"" && sent == length && largest < 1 << 20)

        let head = try request(.head, "object").perform { _ in Issue.record("a head has no body") }
        #expect(head.status == 200 && head.value("Content-Length") == "\(length)")

        var received = 0
        var isRight = true
        let get = try request(.get, "object").perform { piece in
            for (index, byte) in piece.enumerated() where byte != UInt8(truncatingIfNeeded: (received + index) / 1000) {
                isRight = false
            }
            received += piece.count
        }
        #expect(get.status == 200 && get.value("X-Stored") == "yes" && received == length && isRight)

        #expect(try request(.delete, "object").perform().status == 204)
        var text: [UInt8] = []
        let gone = try request(.get, "object").perform { text += $0 }
        #expect(gone.status == 404 && String(decoding: text, as: UTF8.self) == "there is no such object")
        #expect(try request(.delete, "object").perform().status == 404)
        #expect(try request(.post, "redirect").perform(HTTPRequest.Body([1])).status == 302)
        #expect(try request(.put, "empty").perform().status == 201)
    }

    @Test func `an error of either body ends the request`() throws {
        struct Full: Error {}
        #expect(throws: Full.self) {
            try request(.put, "broken").perform(HTTPRequest.Body(length: 1 << 20) { _ in throw Full() })
        }
        _ = try request(.put, "object").perform(HTTPRequest.Body([UInt8](repeating: 7, count: 1 << 20)))
        #expect(throws: Full.self) { try request(.get, "object").perform { _ in throw Full() } }
        // An answer that isn't whole is none.
        #expect(throws: CurlTransfer.Failure.self) { try request(.post, "short").perform(HTTPRequest.Body([1])) }
        #expect(throws: CurlTransfer.Failure.self) {
            try HTTPRequest(.get, "file:///etc/hostname", timeout: 1000).perform()
        }
    }
}
