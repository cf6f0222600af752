import FoundationEssentials
import Platform
import WAL

/// A notification as an e-mail: RFC 5322 headers, and the text twice, as plain text and as HTML (RFC 2046).
struct MailMessage {
    let notification: Notification
    let from: String
    let to: [String]

    /// Lines end in CR LF; none is longer than 76 characters apart from the addresses.
    func encode() -> [UInt8] {
        let boundary = "tidemark-\(notification.id)"
        var lines = [
            "Date: \(MailMessage.date(notification.time))",
            "From: tidemark <\(from)>",
            "To: \(to.joined(separator: ",\r\n "))",
            "Subject: \(MailMessage.header("tidemark: \(notification.headline)"))",
            "Message-ID: <\(notification.id)@\(MailMessage.domain(notification.host))>",
            // Prevents out-of-office replies (RFC 3834).
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: multipart/alternative;\r\n boundary=\"\(boundary)\"",
            "",
        ]
        for (type, text) in [("plain", notification.text + "\n"), ("html", notification.html ?? notification.page)] {
            lines += [
                "--\(boundary)", "Content-Type: text/\(type); charset=utf-8", "Content-Transfer-Encoding: base64", "",
            ]
            lines += MailMessage.base64(text)
        }
        lines += ["--\(boundary)--", ""]
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    /// RFC 2047 encoded words for everything that isn't plain ASCII, without line ends, in parts that fit a line.
    static func header(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        if line.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }), line.utf8.count <= 60 { return line }
        var words: [String] = []
        var piece = ""
        for character in line.prefix(400) {
            if piece.utf8.count + String(character).utf8.count > 39 {
                words.append(piece)
                piece = ""
            }
            piece.append(character)
        }
        words.append(piece)
        return words.map { "=?UTF-8?B?\(Data($0.utf8).base64EncodedString())?=" }.joined(separator: "\r\n ")
    }

    static func base64(_ text: String) -> [String] {
        let whole = Array(Data(text.utf8).base64EncodedString().utf8)
        return stride(from: 0, to: whole.count, by: 76).map {
            String(decoding: whole[$0..<min($0 + 76, whole.count)], as: UTF8.self)
        }
    }

    /// `Fri, 20 Nov 2026 10:15:00 +0000`
    static func date(_ moment: Moment) -> String {
        let parts = moment.civil
        let days = Int((Double(moment.microseconds) / 86_400_000_000).rounded(.down))
        // 1 January 1970 was a Thursday.
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][((days % 7) + 7) % 7]
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][
            parts.month - 1]
        func two(_ value: Int) -> String { padded(value, to: 2) }
        return "\(weekday), \(two(parts.day)) \(month) \(parts.year) \(two(parts.hour)):\(two(parts.minute)):"
            + "\(two(parts.second)) +0000"
    }

    private static func domain(_ host: String) -> String {
        let plain = host.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") }
        return plain.isEmpty ? "localhost" : plain
    }
}

extension Notification {
    /// A small page: the headline and the details as a table. Its colours are never the only sign of the status.
    var page: String {
        let colour = ["success": "#1a7f37", "warning": "#9a6700", "error": "#cf222e"][status.rawValue] ?? "#57606a"
        var page =
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>\(escapedForHTML(headline))</title></head>"
        page += "<body style=\"font-family:sans-serif;color:#1f2328;max-width:44em\">"
        page += "<p style=\"border-left:6px solid \(colour);padding-left:.8em\"><strong style=\"color:\(colour)\">"
        page +=
            "\(status.rawValue)</strong> · cluster <strong>\(escapedForHTML(cluster))</strong> on \(escapedForHTML(host))"
        page += " · \(time)</p><h1 style=\"font-size:1.15em\">\(escapedForHTML(message))</h1>"
        if !details.isEmpty {
            page += "<table style=\"border-collapse:collapse\">"
            for detail in details {
                page += "<tr><th scope=\"row\" style=\"text-align:left;vertical-align:top;padding:.2em 1em .2em 0\">"
                page += "\(escapedForHTML(detail.name))</th><td>\(escapedForHTML(detail.value))</td></tr>"
            }
            page += "</table>"
        }
        if suppressed > 0 {
            page += "<p>The same message was suppressed \(suppressed) times since it was last sent.</p>"
        }
        return page + "</body></html>\n"
    }
}

/// Text for an element's content or a quoted attribute.
public func escapedForHTML(_ text: String) -> String {
    escaped(text) {
        switch $0 {
        case "&": "&amp;"
        case "<": "&lt;"
        case ">": "&gt;"
        case "\"": "&quot;"
        default: nil
        }
    }
}
