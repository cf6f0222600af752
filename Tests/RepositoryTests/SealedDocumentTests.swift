import Repository
import Support
import Testing

/// A document's two ends, and the faults of a wrong one.
struct SealedDocumentTests {
    private static let whole = SealedDocument(.backup, body: Array("{\n  \"a\" : [1, \"é\"]\n}".utf8), version: "0.3.1")
        .bytes

    private func fault(_ bytes: [UInt8], _ kind: SealedDocument.Kind = .backup) -> DocumentFault? {
        do throws(DocumentFault) {
            _ = try SealedDocument(kind, stored: bytes)
            return nil
        } catch { return error }
    }

    @Test func `both ends of a document have exactly their form`() throws {
        let digest = Digest(of: Array(Self.whole.dropLast(52)))
        #expect(
            String(decoding: Self.whole, as: UTF8.self) == """
                {
                  "kind" : "backup",
                  "format" : 1,
                  "tidemark_version" : "0.3.1",
                  "a" : [1, "é"],
                  "xxh128" : "\(digest)"
                }

                """)
        #expect(fault(Self.whole) == nil)
        let empty = SealedDocument(.job, body: Array(" { } ".utf8), version: "x\"y\\\n")
        #expect(String(decoding: empty.bytes, as: UTF8.self).contains("\"xy\",\n  \"xxh128\""), "\(empty)")
        #expect(fault(empty.bytes, .job) == nil)
    }

    @Test func `no flipped bit, no missing byte and no added one goes unseen`() {
        for index in Self.whole.indices {
            for bit in 0..<8 {
                var bytes = Self.whole
                bytes[index] ^= 1 << UInt8(bit)
                #expect(fault(bytes) != nil, "bit \(bit) of byte \(index)")
            }
            #expect(fault(Array(Self.whole.prefix(index))) != nil, "cut off at \(index)")
            #expect(fault(Array(Self.whole.suffix(index))) != nil, "the last \(index)")
        }
        #expect(fault(Self.whole + [0x0A]) != nil)
    }

    private struct Row: CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let fault: DocumentFault

        static let all: [Row] = [
            Row(testDescription: "nothing", bytes: [], fault: .foreign),
            Row(testDescription: "zeros", bytes: [UInt8](repeating: 0, count: 300), fault: .foreign),
            Row(testDescription: "a text", bytes: Array("backup.json of yesterday\n".utf8), fault: .foreign),
            Row(testDescription: "its beginning", bytes: Array(whole.prefix(60)), fault: .damaged),
            Row(testDescription: "another byte", bytes: whole.map { $0 == 0x5B ? 0x5C : $0 }, fault: .damaged),
            Row(
                testDescription: "another kind", bytes: SealedDocument(.job, body: Array("{}".utf8)).bytes,
                fault: .otherKind("job")),
            Row(testDescription: "no checksum", bytes: unsealed(whole), fault: .unsealed),
            Row(testDescription: "compact JSON", bytes: Array("{\"format\":1}".utf8), fault: .unsealed),
            Row(
                testDescription: "a newer format", bytes: document(whole, ofFormat: 2, version: "9.1"),
                fault: .newer(format: 2, version: "9.1")),
            Row(testDescription: "format 0", bytes: document(whole, ofFormat: 0, version: "9.1"), fault: .foreign),
            Row(
                testDescription: "whole, with other first lines",
                bytes: resealed(String(decoding: whole, as: UTF8.self).replacing("\"kind\"", with: "\"Kind\"")),
                fault: .foreign),
        ]
    }

    @Test(arguments: Row.all)
    private func `the faults of a document are distinguished`(_ row: Row) {
        #expect(fault(row.bytes) == row.fault)
    }

    @Test func `an incarnation is confirmed by its own marker only`() throws {
        let (own, other) = (
            Incarnation(cluster: "main", major: 15, systemIdentifier: 7),
            Incarnation(cluster: "main", major: 15, systemIdentifier: 77)
        )
        func archive(_ bytes: [UInt8]) throws -> ClusterArchive {
            let store = MemoryStore()
            try store.create(own.marker, bytes: bytes)
            return ClusterArchive(own, in: store)
        }
        #expect(try archive(own.sealedMarker.bytes).isConfirmed())
        for (bytes, isLeftAlone) in [
            (other.sealedMarker.bytes, true), (Self.whole, true), ([], true), (unsealed(own.sealedMarker.bytes), false),
            (document(own.sealedMarker.bytes, ofFormat: 2, version: "9.1"), false),
        ] {
            #expect(throws: DamagedMarker.self) { try archive(bytes).isConfirmed() }
            // Damage doesn't prevent archiving.
            if isLeftAlone {
                #expect(try archive(bytes).isUsable())
            } else {
                #expect(throws: DamagedMarker.self) { try archive(bytes).isUsable() }
            }
        }
        let nothing = ClusterArchive(own, in: MemoryStore())
        #expect(try !nothing.isConfirmed() && !nothing.isUsable())
    }
}
