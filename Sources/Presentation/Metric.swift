/// A metric with its samples, named by Prometheus's conventions: base units, the unit at the name's end.
public struct Metric: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case gauge
        case counter
        case info
    }
    public struct Sample: Sendable, Equatable {
        public var labels: [(name: String, value: String)]
        public var value: Double

        public static func == (a: Sample, b: Sample) -> Bool {
            a.value == b.value && a.labels.elementsEqual(b.labels) { $0 == $1 }
        }
    }
    /// Without the suffix that the kind adds (`_total`, `_info`).
    public let name: String
    public let kind: Kind
    /// `seconds`, `bytes`; nil for plain numbers.
    public let unit: String?
    public let help: String
    public var samples: [Sample]

    /// The samples' name.
    public var sampleName: String {
        switch kind {
        case .gauge: name
        case .counter: name + "_total"
        case .info: name + "_info"
        }
    }
}

/// The text format: OpenMetrics 1.0, or Prometheus's text format 0.0.4 for node_exporter's textfile collector, which
/// knows no other.
public enum MetricsFormat: Sendable {
    case openMetrics
    case prometheus

    public func text(_ metrics: [Metric]) -> String {
        var text = ""
        for metric in metrics where !metric.samples.isEmpty {
            let family = self == .openMetrics ? metric.name : metric.sampleName
            let kind = self == .prometheus && metric.kind == .info ? "gauge" : metric.kind.rawValue
            text += "# HELP \(family) \(escaped(metric.help, quotes: self == .openMetrics))\n# TYPE \(family) \(kind)\n"
            if self == .openMetrics, let unit = metric.unit { text += "# UNIT \(family) \(unit)\n" }
            for sample in metric.samples {
                let labels = sample.labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
                    .joined(separator: ",")
                text += "\(metric.sampleName){\(labels)} \(number(sample.value))\n"
            }
        }
        return self == .openMetrics ? text + "# EOF\n" : text
    }

    private func escaped(_ text: String, quotes: Bool) -> String {
        text.unicodeScalars.reduce(into: "") {
            switch $1 {
            case "\\": $0 += "\\\\"
            case "\n": $0 += "\\n"
            case "\"" where quotes: $0 += "\\\""
            default: $0.unicodeScalars.append($1)
            }
        }
    }

    private func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }
}
