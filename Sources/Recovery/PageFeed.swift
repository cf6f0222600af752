/// Turns a stream of arbitrary pieces into pieces of whole WAL pages (8192 bytes), copying only pages that are split.
struct PageFeed {
    private static let page = 8192
    private var rest: [UInt8] = []

    mutating func feed(_ bytes: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) throws -> Void) throws {
        var bytes = bytes[...]
        if !rest.isEmpty {
            let missing = min(PageFeed.page - rest.count, bytes.count)
            rest += bytes.prefix(missing)
            bytes = bytes.dropFirst(missing)
            guard rest.count == PageFeed.page else { return }
            try rest.withUnsafeBytes(take)
            rest.removeAll(keepingCapacity: true)
        }
        let whole = bytes.count / PageFeed.page * PageFeed.page
        if whole > 0 { try take(UnsafeRawBufferPointer(rebasing: bytes.prefix(whole))) }
        rest += bytes.dropFirst(whole)
    }
}
