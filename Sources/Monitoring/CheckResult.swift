public import Configuration
import Platform

/// The result of one check.
public struct CheckResult: Sendable, Equatable {
    public enum Status: String, Sendable, Codable, CaseIterable {
        case ok
        case warning
        case critical
        /// It could not be determined.
        case unknown
        /// It would not be ok, but the configuration has a reason to ignore it.
        case silenced

        /// The exit status of a Nagios plugin.
        public var nagios: Int32 {
            switch self {
            case .ok, .silenced: 0
            case .warning: 1
            case .critical: 2
            case .unknown: 3
            }
        }

        /// Higher is worse.
        public var severity: Int {
            switch self {
            case .ok: 0
            case .silenced: 1
            case .warning: 2
            case .unknown: 3
            case .critical: 4
            }
        }
    }

    public let definition: CheckDefinition
    public var id: String { definition.id }
    public var status: Status
    /// The finding, as a sentence.
    public var message: String
    /// What to do next; nil when the check is ok.
    public var nextStep: String?
    /// The measured value: seconds, percent or a number.
    public var value: Double?
    public var warning: Double?
    public var critical: Double?
    /// The reason for silencing it, and its status otherwise.
    public var silence: String?
    public var silencedStatus: Status?

    /// The worst status.
    public static func worst(_ results: [CheckResult]) -> Status {
        results.map(\.status).max { $0.severity < $1.severity } ?? .unknown
    }
}

/// The result of a rule, before limits and silences are applied.
struct Verdict {
    var status: CheckResult.Status
    var message: String
    var nextStep: String?
    var value: Double?

    /// Messages quote the server; they are shown on terminals, in mails and on pages.
    init(_ status: CheckResult.Status, _ message: String, _ nextStep: String?, _ value: Double?) {
        (self.status, self.value) = (status, value)
        self.message = printable(message)
        self.nextStep = nextStep.map { printable($0) }
    }

    static func ok(_ message: String, value: Double? = nil) -> Verdict { Verdict(.ok, message, nil, value) }
    static func warning(_ message: String, _ nextStep: String?, value: Double? = nil) -> Verdict {
        Verdict(.warning, message, nextStep, value)
    }
    static func critical(_ message: String, _ nextStep: String?, value: Double? = nil) -> Verdict {
        Verdict(.critical, message, nextStep, value)
    }
    static func unknown(_ message: String, _ nextStep: String? = nil) -> Verdict {
        Verdict(.unknown, message, nextStep, nil)
    }
}

/// Limits of one check, and the status beyond them.
struct Limits {
    let definition: CheckDefinition
    let warning: Double?
    let critical: Double?

    func status(of value: Double) -> CheckResult.Status {
        func isBeyond(_ limit: Double?) -> Bool {
            guard let limit else { return false }
            return definition.lowIsBad ? value < limit : value > limit
        }
        return isBeyond(critical) ? .critical : isBeyond(warning) ? .warning : .ok
    }

    /// A verdict on a measured value; `nextStep` is used when it isn't ok.
    func judge(_ value: Double, _ message: String, _ nextStep: String) -> Verdict {
        let status = status(of: value)
        return Verdict(status, message, status == .ok ? nil : nextStep, value)
    }
}

/// `3 h 5 min` for seconds; capped at three centuries.
public func duration(_ seconds: Double) -> String {
    durationText(milliseconds: Int64(seconds > 0 ? min(seconds, 1e10) * 1000 : 0))
}
