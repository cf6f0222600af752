import Configuration

extension Arguments {
    /// The value of `--rate-limit` in bytes per second; nil without it.
    /// - Throws: `UsageError`.
    func rateLimit() throws -> Int64? {
        guard let text = value("rate-limit") else { return nil }
        guard let bytes = Quantity.bytes(text), bytes > 0 else {
            throw UsageError(
                "option --rate-limit takes a size per second, not \"\(text)\"",
                hint: "Valid units are \"B\", \"kB\", \"MB\", \"GB\" and \"TB\".")
        }
        return bytes
    }
}
