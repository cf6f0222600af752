import Backups
import Configuration
import Monitoring
import Platform
import Presentation
import Support
import Testing
import WAL

struct MetricsTests {
    /// Metrics with a sample of every kind.
    private func everyMetric() throws -> [Metric] {
        var observation = try ObservedCluster.healthy()
        observation.cluster = "ma\"\u{301}in\\\n"
        return metrics(
            observation, judge(observation, by: try ObservedCluster.configuration()), tidemarkVersion: "0.1.0")
    }

    /// Prometheus's own parser for Python reads the text; returns its errors.
    private func parsed(_ text: String, by module: String) throws -> [String] {
        let scratch = try Scratch()
        try createDurably(scratch.file("metrics"), bytes: Array(text.utf8), mode: 0o644)
        // The system's Python has the parser (Debian's python3-prometheus-client).
        let finished = try run(
            "/usr/bin/python3",
            [
                "-c",
                """
                import sys
                from \(module) import text_string_to_metric_families as parse
                for family in parse(open(sys.argv[1]).read()):
                    print(family.name, family.type, family.unit or '-', len(family.samples), repr(family.samples[0].labels['cluster']))
                """, scratch.file("metrics"),
            ])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        return finished.output.split(separator: "\n").map(String.init)
    }

    @Test func `OpenMetrics is read by the reference parser, which is strict`() throws {
        let all = try everyMetric()
        let families = try parsed(MetricsFormat.openMetrics.text(all), by: "prometheus_client.openmetrics.parser")
        #expect(families.count == all.count)
        #expect(all.allSatisfy { !$0.samples.isEmpty }, "\(all.filter { $0.samples.isEmpty }.map(\.name))")
        #expect(families.contains { $0.hasPrefix("tidemark_rpo_seconds gauge seconds 1") })
        #expect(families.contains { $0.hasPrefix("tidemark_archive_failures counter - 1") })
        #expect(families.contains { $0.hasPrefix("tidemark_check_status gauge - \(CheckDefinition.all.count)") })
        #expect(families.allSatisfy { $0.hasSuffix("'ma\"\u{301}in\\\\\\n'") }, "\(families.first ?? "")")
    }

    @Test func `the text format for node_exporter is read by the reference parser as well`() throws {
        let all = try everyMetric()
        let families = try parsed(MetricsFormat.prometheus.text(all), by: "prometheus_client.parser")
        #expect(families.count == all.count)
        #expect(families.contains { $0.hasPrefix("tidemark_archive_failures counter - 1") })
    }

    @Test func `times are exported as times, and every missing segment is counted`() throws {
        var observation = try ObservedCluster.healthy()
        func value(_ name: String) throws -> Double? {
            let all = metrics(
                observation, judge(observation, by: try ObservedCluster.configuration()), tidemarkVersion: "0.1.0")
            return try #require(all.first { $0.sampleName == name }).samples.first?.value
        }
        func seconds(_ days: Double) -> Double { Double(ObservedCluster.daysAgo(days).microseconds) / 1_000_000 }
        #expect(try value("tidemark_backup_last_timestamp_seconds") == seconds(1))
        #expect(try value("tidemark_recovery_window_start_timestamp_seconds") == seconds(28))
        #expect(try value("tidemark_wal_newest_commit_timestamp_seconds") == seconds(0.001))
        #expect(try value("tidemark_wal_missing_segments") == 0)
        let names = ["000000010000000000000003", "000000010000000000000005"].compactMap { SegmentName($0) }
        observation.archive?.gaps = [
            .init(first: names[0], last: names[0], count: 1), .init(first: names[1], last: names[1], count: 4),
        ]
        #expect(try value("tidemark_wal_missing_segments") == 5)
    }

    @Test func `names follow Prometheus's conventions`() throws {
        for metric in try everyMetric() {
            #expect(metric.name.hasPrefix("tidemark"))
            #expect(metric.name.allSatisfy { $0.isASCII && ($0.isLowercase || $0 == "_") }, "\(metric.name)")
            if let unit = metric.unit {
                #expect(["seconds", "bytes"].contains(unit) && metric.name.hasSuffix("_\(unit)"), "\(metric.name)")
            }
            #expect(!metric.name.hasSuffix("_total") && metric.help.hasSuffix("."), "\(metric.name)")
        }
    }

    @Test(arguments: ["grafana-dashboard.json", "prometheus-alerts.yml"])
    func `every metric the file names exists, and the page describes it`(_ file: String) throws {
        let docs = Files.parent(Files.parent(Files.parent(#filePath))) + "/docs/"
        let names = Set(try everyMetric().map(\.sampleName))
        let text = try Files.readText(docs + file)
        let used = Set(
            text.split { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }.map(String.init)
                .filter { $0.hasPrefix("tidemark_") })
        #expect(used.count > 2)
        for name in used { #expect(names.contains(name), "\(name)") }
        let page = try Files.readText(docs + "monitoring.md")
        for name in names { #expect(page.contains("`\(name)"), "\(name)") }
        for check in CheckDefinition.all { #expect(page.contains("| `\(check.id)` |"), "\(check.id)") }
    }
}

struct NagiosReportTests {
    private func report(_ lines: [String] = [], _ spoil: (inout Observation) -> Void) throws -> (
        text: String, status: Int32
    ) {
        var observation = try ObservedCluster.healthy()
        spoil(&observation)
        return nagiosReport(judge(observation, by: try ObservedCluster.configuration(lines)), cluster: "main")
    }

    @Test func `all is well: one line with performance data`() throws {
        let report = try report { _ in }
        #expect(report.status == 0)
        #expect(report.text.hasPrefix("TIDEMARK OK - main: \(CheckDefinition.all.count) checks are fine. | "))
        #expect(report.text.contains("rpo=12s;600;3600"))
        #expect(report.text.contains("repository_space=40%;10:;5:"))
        #expect(!report.text.contains("\n"))
    }

    @Test func `the worst comes first and decides the status`() throws {
        let report = try report {
            $0.waiting?.oldestCommit = 700
            $0.archive?.backups.complete = []
        }
        #expect(report.status == 2)
        #expect(
            report.text.hasPrefix("TIDEMARK CRITICAL - main: backup_age: There is no complete backup. (and 1 more) | "))
        #expect(report.text.contains("\n[WARNING] rpo: The oldest commit"))
    }

    @Test func `unknown and warning have their own statuses, and a silenced check counts as well`() throws {
        #expect(try report { $0.waiting?.oldestCommit = 700 }.status == 1)
        #expect(try report { $0.waiting?.oldestCommit = nil }.status == 3)
        let silenced = try report(["rpo_silenced = 'moving | house'"]) { $0.waiting?.oldestCommit = 7000 }
        #expect(silenced.status == 0)
        #expect(silenced.text.contains("[SILENCED] rpo:") && silenced.text.contains("moving   house"))
        // Everything after the only bar is performance data.
        #expect(silenced.text.filter { $0 == "|" }.count == 1)
    }
}
