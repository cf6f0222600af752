/// How the checks of one cluster are tuned: the sections `[check]` and `[check NAME]`.
public struct CheckConfiguration: Sendable, Equatable {
    private let values: [String: ClusterConfiguration.Value]

    init(values: [String: ClusterConfiguration.Value]) { self.values = values }

    public static let settings: [Setting] = CheckDefinition.all.flatMap(\.settings)
    private static let standards: [String: String] = Dictionary(
        settings.compactMap { setting in setting.standard.map { (setting.name, $0) } }
    ) { first, _ in first }

    public func value(_ setting: String) -> String? { values[setting]?.text ?? CheckConfiguration.standards[setting] }
    public func source(_ setting: String) -> ClusterConfiguration.Source { values[setting]?.source ?? .standard }

    /// A check's limits: seconds, percent or a number; nil where there is none.
    public func limits(_ check: CheckDefinition) -> (warning: Double?, critical: Double?) {
        func number(_ name: String) -> Double? {
            guard let text = value(name) else { return nil }
            return check.measure == .duration
                ? Quantity.milliseconds(text).map { Double($0) / 1000 } : Int64(text).map(Double.init)
        }
        return (number("\(check.id)_warning"), number("\(check.id)_critical"))
    }

    /// Why the check is silenced, and until which day (`YYYY-MM-DD`, inclusive); nil when it isn't.
    public func silence(_ check: CheckDefinition) -> (reason: String, until: String?)? {
        guard let text = value("\(check.id)_silenced"), !text.isEmpty else { return nil }
        guard text.hasPrefix("until "), let colon = text.firstIndex(of: ":") else { return (text, nil) }
        let reason = text[text.index(after: colon)...].drop(while: \.isWhitespace)
        return (String(reason), String(text.dropFirst("until ".count).prefix { $0 != ":" }))
    }

    /// What is wrong with a silence; a date that doesn't exist or a missing reason would hide trouble for good.
    static func objection(toSilence text: String) -> String? {
        guard !text.isEmpty else { return "a silenced check needs a reason" }
        guard text.hasPrefix("until ") else { return nil }
        let parts = text.dropFirst("until ".count).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let date = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, date.map(\.utf8.count) == [4, 2, 2], date.allSatisfy({ Int($0) != nil }),
            parts[1].contains(where: { !$0.isWhitespace })
        else { return "a silence with an end is written \"until YYYY-MM-DD: reason\"" }
        return nil
    }
}
