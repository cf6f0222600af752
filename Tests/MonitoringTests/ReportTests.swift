import Backups
import Configuration
import Jobs
import Monitoring
import Notifications
import Platform
import Presentation
import Support
import Testing
import WAL

struct ReportTests {
    /// A month with a failed drill, a gap, and names that need escaping.
    private func observation() throws -> Observation {
        var observation = try ObservedCluster.healthy()
        observation.cluster = "ma<in> & \"co\""
        observation.jobs += [ObservedCluster.job(.drill, days: 2, .failure), ObservedCluster.job(.recover, days: 3)]
        let name = try #require(SegmentName("000000010000000000000003"))
        var gap = ArchiveObservation.Gap(first: name, last: name, count: 1)
        (gap.from, gap.to) = (ObservedCluster.daysAgo(5), ObservedCluster.daysAgo(4))
        observation.archive?.gaps = [gap]
        return observation
    }

    private func page() throws -> String {
        let observation = try observation()
        let results = judge(observation, by: try ObservedCluster.configuration())
        return reportPage(observation, results, days: 28, tidemarkVersion: "0.1.0")
    }

    @Test func `each day shows its jobs and whether its WAL is there`() throws {
        let days = try observation().days(28)
        #expect(days.count == 28 && days.last?.date == "2026-11-20")
        func day(_ date: String) throws -> DayRecord { try #require(days.first { $0.date == date }) }
        #expect(try day("2026-11-19").backup == .good)
        #expect(try day("2026-11-18").drill == .bad && day("2026-11-10").drill == .good)
        #expect(try day("2026-11-15").wal == .broken && day("2026-11-16").wal == .broken)
        #expect(try day("2026-11-14").wal == .whole && day("2026-11-20").wal == .whole)
        #expect(try day("2026-11-17").recovery == .good)
        var young = try observation()
        young.archive?.backups.complete = [try ObservedCluster.backup("b", days: 3)]
        young.archive?.gaps = []
        #expect(young.days(7).map(\.wal) == [.nothing, .nothing, .nothing, .whole, .whole, .whole, .whole])
    }

    @Test func `the screen has the two numbers, draws the weeks, and fits a terminal`() throws {
        let observation = try observation()
        let text = statusText(observation, judge(observation, by: try ObservedCluster.configuration()), days: 28)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines.contains { $0.hasPrefix("  I would lose      12.0 s") })
        #expect(lines.contains { $0.hasPrefix("  I would be down   about 10 min") })
        #expect(lines.contains { $0.hasPrefix("  WAL") && $0.contains("██▒▒▒▒██") })
        #expect(lines.contains { $0.hasPrefix("  backups") && $0.filter { $0 == "B" }.count == 4 })
        #expect(lines.contains { $0.hasPrefix("  drills") && $0.contains("✗") && $0.contains("D") })
        #expect(lines.contains { $0.hasPrefix("Segment \"000000010000000000000003\" is missing, after") })
        // The picture's lines; sentences may be longer.
        for line in lines where line.hasPrefix("  ") { #expect(line.count <= 80, "\(line)") }
    }

    @Test func `the page is well-formed, needs nothing else, and says every picture in words`() throws {
        let page = try page()
        #expect(
            !page.contains("<script") && !page.contains("src=") && !page.contains("http") && !page.contains("@import"))
        #expect(page.contains("ma&lt;in&gt; &amp; &quot;co&quot;") && !page.contains("ma<in>"))
        #expect(page.contains("lang=\"en\"") && page.contains("@media print") && page.contains("scope=\"col\""))
        let scratch = try Scratch()
        try createDurably(scratch.file("page.html"), bytes: Array(page.utf8), mode: 0o644)
        // A parser that knows which elements stay open, and an XML parser for the picture.
        let checked = try run(
            "/usr/bin/python3",
            [
                "-c",
                """
                import re, sys, xml.etree.ElementTree as tree
                from html.parser import HTMLParser
                text = open(sys.argv[1]).read()
                class Checker(HTMLParser):
                    open = []; ids = set()
                    def handle_starttag(self, tag, attributes):
                        names = [name for name, _ in attributes]
                        assert len(names) == len(set(names)), (tag, names)
                        for name, value in attributes:
                            if name == 'id': assert value not in self.ids; self.ids.add(value)
                        if tag not in ('meta', 'link', 'br', 'img', 'hr', 'input'): self.open.append(tag)
                    def handle_startendtag(self, tag, attributes): pass
                    def handle_endtag(self, tag):
                        assert self.open and self.open[-1] == tag, (tag, self.open)
                        self.open.pop()
                checker = Checker(); checker.feed(text); checker.close()
                assert not checker.open, checker.open
                assert text.startswith('<!DOCTYPE html>')
                for svg in re.findall(r'<svg.*?</svg>', text, re.S):
                    root = tree.fromstring(svg)
                    assert root.get('role') == 'img'
                    for name in root.get('aria-labelledby').split(): assert name in checker.ids, name
                    assert root.find('title').text and root.find('desc').text
                print(len(re.findall('<svg', text)))
                """, scratch.file("page.html"),
            ])
        #expect(checked.ending == .exited(0), "\(checked.errors)")
        #expect(checked.output == "1\n")
    }

    @Test func `the weekly report is the week in numbers, with the page for e-mail`() throws {
        let observation = try observation()
        let results = judge(observation, by: try ObservedCluster.configuration())
        let report = weeklyReport(observation, results, page: "<p>page</p>", host: "db1")
        #expect(report.event == .weeklyReport && report.status == .error && report.html == "<p>page</p>")
        #expect(report.message.hasPrefix("weekly report: ") && report.message.hasSuffix("are not well"))
        #expect(report.details.contains(Notification.Detail("drill this week", "1, 1 not well")))
        #expect(report.details.contains { $0.name == "i would lose" && $0.value.hasPrefix("12.0 s") })
    }
}
