public import WAL

/// Which events are wanted.
public struct EventFilter: Hashable, Sendable {
    /// Nil: all but rewrites.
    public var kinds: Set<Event.Kind>?
    public var from: Moment?
    public var to: Moment?
    /// `table`, `schema.table` or `database.schema.table`.
    public var table: String?
    /// Most to tell.
    public var limit: Int

    public init(
        kinds: Set<Event.Kind>? = nil, from: Moment? = nil, to: Moment? = nil, table: String? = nil, limit: Int = 100
    ) {
        (self.kinds, self.from, self.to, self.table, self.limit) = (kinds, from, to, table, limit)
    }

    func wants(_ kind: Event.Kind) -> Bool { kinds?.contains(kind) ?? (kind != .rewrite) }

    func wants(_ event: Event) -> Bool {
        guard wants(event.kind) else { return false }
        if let time = event.time {
            if let from, time < from { return false }
            if let to, time > to { return false }
        }
        guard let table else { return true }
        let wanted = nameParts(table)
        return event.objects.contains { object in
            let parts = nameParts(object).suffix(wanted.count)
            // What isn't quoted is folded as SQL folds it, or is the name as it stands.
            return parts.count == wanted.count
                && zip(parts, wanted).allSatisfy { has, typed in
                    has.text == typed.text || (!typed.isQuoted && has.text == typed.text.lowercased())
                }
        }
    }
}

/// The parts of a name in which dots separate them, but for those in quotation marks.
private func nameParts(_ name: String) -> [(text: String, isQuoted: Bool)] {
    var parts: [(text: String, isQuoted: Bool)] = [("", false)]
    var isInside = false
    var rest = name[...]
    while let character = rest.popFirst() {
        if character == "\"" {
            if isInside, rest.first == "\"" {
                parts[parts.count - 1].text.append(rest.removeFirst())
            } else {
                isInside.toggle()
                parts[parts.count - 1].isQuoted = true
            }
        } else if character == ".", !isInside {
            parts.append(("", false))
        } else {
            parts[parts.count - 1].text.append(character)
        }
    }
    return parts
}
