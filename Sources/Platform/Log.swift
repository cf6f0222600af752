import Glibc

/// One line per message on standard error, where PostgreSQL (`archive_command`, `restore_command`) and systemd both
/// read it; in the format of PostgreSQL's own log.
///
/// When `JOURNAL_STREAM` names standard error, lines carry a syslog level (`<6>`) in place of a time, as
/// systemd.exec(5) describes.
public struct Log: Sendable {
    /// Syslog numbers.
    public enum Level: Int, Sendable {
        case error = 3
        case warning = 4
        case log = 6
        case debug = 7
    }
    public var threshold: Level
    /// On a terminal `tidemark: error: …` as from PostgreSQL's own programs; elsewhere a log line.
    public enum Layout: Sendable { case line, journal, terminal }
    public let layout: Layout
    /// One JSON object a line, with the keys of PostgreSQL's own jsonlog, in place of `layout`'s words.
    public var json = false

    public init(threshold: Level = .log, layout: Layout? = nil) {
        self.threshold = threshold
        self.layout = layout ?? Log.detectLayout()
    }

    public func callAsFunction(
        _ level: Level, _ message: @autoclosure () -> String, detail: String? = nil, hint: String? = nil
    ) {
        guard level.rawValue <= threshold.rawValue else { return }
        let message = withoutSecrets(message())
        let (detail, hint) = (detail.map(withoutSecrets), hint.map(withoutSecrets))
        var text: String
        if json {
            text = jsonLine(level, message, detail: detail, hint: hint)
        } else {
            text = line(level, label(level), message)
            if let detail { text += line(level, "DETAIL", detail, keepingLines: true) }
            if let hint { text += line(level, "HINT", hint, keepingLines: true) }
        }
        // One write(2) per message, so that the lines of concurrent processes don't mix.
        _ = text.withUTF8 { write(2, $0.baseAddress, $0.count) }
    }

    public func callAsFunction(_ level: Level = .error, _ error: any Error) {
        if let explained = error as? any Explained {
            self(level, explained.message, detail: explained.detail, hint: explained.hint)
        } else {
            self(level, "\(error)")
        }
    }

    private static func detectLayout() -> Layout {
        var about = stat()
        if let journal = getenv("JOURNAL_STREAM"), fstat(2, &about) == 0,
            String(cString: journal) == "\(about.st_dev):\(about.st_ino)"
        {
            return .journal
        }
        return isatty(2) == 1 ? .terminal : .line
    }

    /// - Parameter keepingLines: for what may be another program's text of several lines, such as libpq's. A message
    ///   has one.
    private func line(_ level: Level, _ label: String, _ text: String, keepingLines: Bool = false) -> String {
        // Continuation lines are indented, as in PostgreSQL's own log (append_with_tabs,
        // src/backend/utils/error/elog.c): a name with a newline in it can't forge a message.
        let text = printable(text, keepingLines: keepingLines).split(separator: "\n", omittingEmptySubsequences: false)
            .joined(separator: "\n\t")
        return switch layout {
        case .journal: "<\(level.rawValue)>\(label):  \(text)\n"
        case .line: "\(timestamp()) [\(getpid())] \(label):  \(text)\n"
        case .terminal: "tidemark: \(label.lowercased()): \(text)\n"
        }
    }

    /// Keys as in src/backend/utils/error/jsonlog.c; for journald the level still comes first, and is removed there.
    private func jsonLine(_ level: Level, _ message: String, detail: String?, hint: String?) -> String {
        var fields = [("timestamp", timestamp()), ("error_severity", label(level)), ("message", message)]
        if let detail { fields.append(("detail", detail)) }
        if let hint { fields.append(("hint", hint)) }
        fields.append(("application_name", "tidemark"))
        let members = ["\"pid\":\(getpid())"] + fields.map { "\"\($0)\":\(quotedForJSON($1))" }
        return (layout == .journal ? "<\(level.rawValue)>" : "") + "{" + members.joined(separator: ",") + "}\n"
    }

    private func label(_ level: Level) -> String {
        switch level {
        case .error: "ERROR"
        case .warning: "WARNING"
        case .log: "LOG"
        case .debug: "DEBUG"
        }
    }

    private func timestamp() -> String {
        var now = timespec()
        var parts = tm()
        clock_gettime(CLOCK_REALTIME, &now)
        gmtime_r(&now.tv_sec, &parts)
        func two(_ value: some BinaryInteger) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let milliseconds = now.tv_nsec / 1_000_000
        let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        let time = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(date) \(time).\(milliseconds < 100 ? "0" : "")\(two(milliseconds)) UTC"
    }
}
