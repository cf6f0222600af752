import CCurl
import HTTP
import Platform

/// One mail, handed to a mail server.
struct MailTransfer {
    var url: String
    /// Milliseconds for the whole attempt.
    var timeout: Int64
    /// Certificates to trust instead of the system's.
    var caFile: String?
    var from: String
    var to: [String]
    var requiresTLS: Bool
    var user: String?
    var password: String?

    /// - Throws: `CurlTransfer.Failure`.
    func perform(_ message: [UInt8]) throws {
        let transfer = try CurlTransfer(url, protocols: "smtp,smtps", timeout: timeout, caFile: caFile)
        transfer.set(CURLOPT_USE_SSL, Int(requiresTLS ? CURLUSESSL_ALL.rawValue : CURLUSESSL_TRY.rawValue))
        transfer.set(CURLOPT_MAIL_FROM, "<\(from)>")
        transfer.set(CURLOPT_MAIL_RCPT, to.map { "<\($0)>" })
        if let user { transfer.set(CURLOPT_USERNAME, user) }
        if let password { transfer.set(CURLOPT_PASSWORD, password) }
        transfer.set(CURLOPT_UPLOAD, 1)
        transfer.send(message)
        do { _ = try transfer.perform() } catch var failure as CurlTransfer.Failure {
            if failure.status >= 400, !failure.reason.contains("\(failure.status)") {
                failure.reason += " (reply \(failure.status))"
            }
            failure.isPermanent = failure.isPermanent || (500..<600).contains(failure.status)
            throw failure
        }
    }
}
