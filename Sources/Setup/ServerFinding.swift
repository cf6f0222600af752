/// One setting of the server, compared with what archiving needs.
public struct ServerFinding: Sendable, Equatable, Codable {
    public enum Verdict: String, Sendable, Codable {
        case good
        /// Archiving or recovery doesn't work without the change.
        case required
        /// Works, but not as well as it should.
        case advised
    }
    public let name: String
    /// The output of `SHOW`; may be empty.
    public let current: String
    /// The value to set; nil when the verdict is good.
    public let wanted: String?
    public let verdict: Verdict
    public let reason: String
    public let needsRestart: Bool

    public init(
        name: String, current: String, wanted: String?, verdict: Verdict, reason: String, needsRestart: Bool
    ) {
        (self.name, self.current, self.wanted) = (name, current, wanted)
        (self.verdict, self.reason, self.needsRestart) = (verdict, reason, needsRestart)
    }
}
