import CPQ
import Platform

extension Connection {
    /// Runs a script of several statements, as one transaction unless it controls transactions itself.
    public func execute(_ script: String) throws(QueryFailure) {
        let result = PQexec(handle, script)
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: return
        default: throw failure(result, String(script.prefix(500)))
        }
    }

    /// Runs `COPY … TO STDOUT` and passes each row to `body`, in a buffer that is valid during the call.
    ///
    /// - Returns: the number of rows that the server sent.
    /// - Throws: `QueryFailure`, or what `body` throws; the session can be used for further statements then.
    @discardableResult
    public func copyOut(_ sql: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Int64 {
        let start = PQexec(handle, sql)
        defer { PQclear(start) }
        guard PQresultStatus(start) == PGRES_COPY_OUT else { throw failure(start, sql) }
        var thrown: (any Error)?
        while true {
            var row: UnsafeMutablePointer<CChar>?
            let count = PQgetCopyData(handle, &row, 0)
            guard count > 0, let row else { break }
            defer { PQfreemem(row) }
            if thrown != nil { continue }
            do { try body(UnsafeRawBufferPointer(start: row, count: Int(count))) } catch {
                thrown = error
                cancel()
            }
        }
        let ended = Result { try endCopy(sql) }
        if let thrown { throw thrown }
        return try ended.get()
    }

    /// Runs `COPY … FROM STDIN` with the bytes that `body` appends.
    ///
    /// - Returns: the number of rows that the server copied.
    /// - Throws: `QueryFailure`, or what `body` throws; nothing has been copied then.
    @discardableResult
    public func copyIn(
        _ sql: String, _ body: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws -> Int64 {
        let start = PQexec(handle, sql)
        defer { PQclear(start) }
        guard PQresultStatus(start) == PGRES_COPY_IN else { throw failure(start, sql) }
        do {
            try body { bytes in
                guard let base = bytes.assumingMemoryBound(to: CChar.self).baseAddress else { return }
                guard PQputCopyData(handle, base, Int32(bytes.count)) == 1 else { throw failure(nil, sql) }
            }
        } catch {
            _ = PQputCopyEnd(handle, "the copy was given up")
            let ended = Result { try endCopy(sql) }
            // The server's error comes first: it is why the connection broke.
            if error is QueryFailure { _ = try ended.get() }
            throw error
        }
        guard PQputCopyEnd(handle, nil) == 1 else { throw failure(nil, sql) }
        return try endCopy(sql)
    }

    private func endCopy(_ sql: String) throws -> Int64 {
        var rows: Int64 = 0
        var refused: QueryFailure?
        while let result = PQgetResult(handle) {
            defer { PQclear(result) }
            if PQresultStatus(result) == PGRES_COMMAND_OK {
                rows = Int64(String(cString: PQcmdTuples(result))) ?? 0
            } else if refused == nil {
                refused = failure(result, sql)
            }
        }
        if let refused { throw refused }
        return rows
    }

    /// Asks the server to cancel the current statement.
    private func cancel() {
        guard let request = PQgetCancel(handle) else { return }
        defer { PQfreeCancel(request) }
        var message = [CChar](repeating: 0, count: 256)
        _ = PQcancel(request, &message, 256)
    }
}
