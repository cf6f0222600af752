import Backups
import SQLite

extension ManifestWriter {
    /// The packs to which the backup refers; called when packs and frames are in the manifest.
    /// - Parameter first: the backup's own label.
    func neededPacks(first own: String) throws -> [NeededPacks] {
        let rows = try database.prepare(
            """
            SELECT label, number, size, live
            FROM pack LEFT JOIN (SELECT pack AS id, sum(length) AS live FROM frame GROUP BY pack) USING (id)
            ORDER BY label <> ?, label, number
            """)
        try rows.bind(1, own)
        var needed: [(label: String, numbers: [Int], sizes: [Int64], live: Int64)] = []
        while try rows.step() {
            let label = rows.text(0)
            if needed.last?.label != label { needed.append((label, [], [], 0)) }
            needed[needed.count - 1].numbers.append(Int(rows.integer(1)))
            needed[needed.count - 1].sizes.append(rows.integer(2))
            needed[needed.count - 1].live += rows.integer(3)
        }
        return needed.map { NeededPacks(label: $0.label, numbers: $0.numbers, sizes: $0.sizes, live: $0.live) }
    }
}
