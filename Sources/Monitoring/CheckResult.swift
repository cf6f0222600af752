public import Configuration
import Platform

/// What one check found.
public struct CheckResult: Sendable, Equatable {
    public enum Status: String, Sendable, Codable, CaseIterable {
        case ok
        case warning
        case critical
        /// It could not be found out.
        case unknown
        /// It would not be ok, but somebody gave a reason not to mind.
        case silenced

        /// The plugin statuses of Nagios and its kin.
        public var nagios: Int32 {
            switch self {
            case .ok, .silenced: 0
            case .warning: 1
            case .critical: 2
            case .unknown: 3
            }
        }

        /// What is worse comes later.
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
    /// What was found, as a sentence.
    public var message: String
    /// What to do next; nil when all is well.
    public var nextStep: String?
    /// What was measured: seconds, percent or a number.
    public var value: Double?
    public var warning: Double?
    public var critical: Double?
    /// The reason given for not minding it, and what its status would be.
    public var silence: String?
    public var silencedStatus: Status?

    /// The worst of all.
    public static func worst(_ results: [CheckResult]) -> Status {
        results.map(\.status).max { $0.severity < $1.severity } ?? .unknown
    }
}

/// What a rule says before limits and silences are applied.
struct Verdict {
    var status: CheckResult.Status
    var message: String
    var nextStep: String?
    var value: Double?

    /// Messages quote what the server says; they end up on terminals, in mails and on pages.
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

/// Limits of one check, and what crossing them means.
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

    /// A verdict on a measured value; `nextStep` is for when it isn't ok.
    func judge(_ value: Double, _ message: String, _ nextStep: String) -> Verdict {
        let status = status(of: value)
        return Verdict(status, message, status == .ok ? nil : nextStep, value)
    }
}

/// `3 h 5 min` for seconds; what no clock counts, three centuries for.
public func duration(_ seconds: Double) -> String {
    Quantity.pretty(milliseconds: Int64(seconds > 0 ? min(seconds, 1e10) * 1000 : 0))
}
