import Bundles
import Files
import Wire

extension Ledger {
    private static let format = "consilium-ledger/1"
    /// Some two hundred thousand records; ``recordsPerKey`` keeps any one key from coming near.
    private static let maximumBytes = 128 << 20

    static func load(from home: Home) throws(MailboxError) -> Ledger {
        let path = home.ledgerPath
        guard try onDisk({ () throws(FileError) in try home.files.exists(path) }) else { return Ledger() }
        let bytes = try onDisk { () throws(FileError) in try home.files.readFile(path, limit: maximumBytes) }
        return try readingState("ledger.json", at: "\(path)") { () throws(JSONError) in
            try Ledger(json: try StrictJSON.parse(bytes, maximumBytes: maximumBytes))
        }
    }

    func save(to home: Home) throws(MailboxError) {
        let bytes = StrictJSON.serialize(json)
        guard bytes.count <= Self.maximumBytes else {
            throw MailboxError(
                .state,
                "\(home.ledgerPath) would have \(bytes.count) bytes, more than the \(Self.maximumBytes) that are read again",
                hint: "nothing was changed; find out in the audit who sends so much, and revoke that key")
        }
        try onDisk { () throws(FileError) in try home.files.writeFile(home.ledgerPath, bytes, permissions: 0o600) }
    }

    var json: JSONValue {
        [
            "format": .string(Self.format),
            "incoming": .array(incoming.values.sorted { $0.id < $1.id }.map(\.json)),
            "outgoing": .array(outgoing.values.sorted { $0.key < $1.key }.map(\.json)),
            "sequences": .array(
                sequences.sorted { $0.key < $1.key }.map {
                    ["session": .string($0.key.hex), "seq": .integer($0.value.seq), "id": .string($0.value.id.hex)]
                }),
            "sequence_floor": .integer(sequenceFloor),
            "held": .array(held.values.sorted { $0.id < $1.id }.map(\.json)),
            "equivocations": .array(equivocations.map(\.json)),
            "settled": .array(
                settled.sorted { ($0.key.sender, $0.key.session) < ($1.key.sender, $1.key.session) }.map {
                    [
                        "sender": .string($0.key.sender.text), "session": .string($0.key.session.hex),
                        "at": .integer($0.value.seconds),
                    ]
                }),
            "unknown_acks": .array(
                unknownAcks.sorted { $0.key < $1.key }.map {
                    ["sender": .string($0.key.text), "ids": .array($0.value.sorted().map { .string($0.hex) })]
                }),
        ]
    }

    init(json: JSONValue) throws(JSONError) {
        var fields = try ObjectReader(json, context: "ledger.json")
        guard try fields.string("format") == Self.format else {
            throw fields.problem("format", "is of another version; use the program that wrote it")
        }
        for item in try fields.objects("incoming") {
            let record = try IncomingRecord(item)
            incoming[record.id] = record
        }
        for item in try fields.objects("outgoing") {
            let record = try OutgoingRecord(item)
            outgoing[record.key] = record
        }
        for var item in try fields.objects("sequences") {
            let session = try item.randomID("session")
            sequences[session] = SequencePosition(
                seq: try item.integer("seq", in: 1...Int64.max), id: try item.digest("id"))
            try item.finish()
        }
        sequenceFloor = try fields.integer("sequence_floor", in: 0...Int64.max)
        for item in try fields.objects("held") {
            let record = try HeldBundle(item)
            held[record.id] = record
        }
        for item in try fields.objects("equivocations") { equivocations.append(try Equivocation(item)) }
        if fields.has("settled") {
            for var item in try fields.objects("settled") {
                let place = Correspondence(sender: try item.partyName("sender"), session: try item.randomID("session"))
                // Numbers stood there before; what they settled is told once more.
                if item.has("at") { settled[place] = Timestamp(seconds: try item.integer("at")) }
            }
        }
        guard case .array(let acks) = try fields.value("unknown_acks") else {
            throw fields.problem("unknown_acks", "must be an array")
        }
        // Strings were written before it was known who said so; those are told once more.
        for ack in acks {
            if case .string = ack { continue }
            var item = try ObjectReader(ack, context: "ledger.json: unknown_acks")
            let sender = try item.partyName("sender")
            for text in try item.strings("ids") {
                guard let digest = Digest(hex: text) else { throw item.problem("ids", "must be digests") }
                unknownAcks[sender, default: []].insert(digest)
            }
            try item.finish()
        }
        try fields.finish()
    }
}

// MARK: records

extension IncomingRecord {
    fileprivate var json: JSONValue {
        [
            "id": .string(id.hex), "kind": .string(kind.rawValue), "sender": .string(sender.text),
            "signer": .string(signer), "session": .string(session.hex), "round": .integer(Int64(round)),
            "seq": .integer(seq), "received": .integer(received.seconds), "expires": .integer(expires.seconds),
            "outcome": .string(outcome.rawValue), "owes_ack": .bool(owesAck),
            "acknowledged": acknowledged.map { .integer($0.seconds) } ?? .null,
        ]
    }

    fileprivate init(_ reader: ObjectReader) throws(JSONError) {
        var fields = reader
        id = try fields.digest("id")
        kind = try fields.named("kind")
        sender = try fields.partyName("sender")
        signer = try fields.string("signer")
        session = try fields.randomID("session")
        round = Int(try fields.integer("round"))
        seq = try fields.integer("seq")
        received = Timestamp(seconds: try fields.integer("received"))
        expires = Timestamp(seconds: try fields.integer("expires"))
        outcome = try fields.named("outcome")
        owesAck = try fields.bool("owes_ack")
        acknowledged = try fields.optionalInteger("acknowledged").map { Timestamp(seconds: $0) }
        try fields.finish()
    }
}

extension OutgoingRecord {
    fileprivate var json: JSONValue {
        [
            "key": .string(key), "id": .string(id.hex), "kind": .string(kind.rawValue), "session": .string(session.hex),
            "round": .integer(Int64(round)), "seq": .integer(seq), "name": .string(name),
            "recipients": .array(recipients.map { .string($0.text) }), "created": .integer(created.seconds),
            "expires": .integer(expires.seconds), "retention": retention.json,
            "acknowledged_by": .array(acknowledgedBy.sorted().map { .string($0.text) }),
            "published": published.map { .integer($0.seconds) } ?? .null, "retired": .bool(isRetired),
        ]
    }

    fileprivate init(_ reader: ObjectReader) throws(JSONError) {
        var fields = reader
        key = try fields.string("key")
        id = try fields.digest("id")
        kind = try fields.named("kind")
        session = try fields.randomID("session")
        round = Int(try fields.integer("round"))
        seq = try fields.integer("seq")
        name = try fields.string("name")
        recipients = try fields.names("recipients")
        created = Timestamp(seconds: try fields.integer("created"))
        expires = Timestamp(seconds: try fields.integer("expires"))
        retention = try Retention(try fields.value("retention"), in: fields)
        acknowledgedBy = Set(try fields.names("acknowledged_by"))
        published = try fields.optionalInteger("published").map { Timestamp(seconds: $0) }
        isRetired = try fields.bool("retired")
        try fields.finish()
    }
}

extension Retention {
    /// A word, or the number of days.
    fileprivate var json: JSONValue {
        switch self {
        case .untilAcknowledged: "acknowledged"
        case .untilWithdrawn: "withdrawn"
        case .days(let days): .integer(days)
        }
    }

    fileprivate init(_ json: JSONValue, in reader: ObjectReader) throws(JSONError) {
        switch json {
        case "acknowledged": self = .untilAcknowledged
        case "withdrawn": self = .untilWithdrawn
        case .integer(let days): self = .days(days)
        default: throw reader.problem("retention", "must be 'acknowledged', 'withdrawn' or a number of days")
        }
    }
}

extension HeldBundle {
    fileprivate var json: JSONValue {
        var fields: [String: JSONValue] = [
            "id": .string(id.hex), "kind": .string(kind.rawValue), "sender": .string(sender.text),
            "fingerprint": .string(fingerprint), "since": .integer(since.seconds), "cause": .string(cause.rawValue),
            "reason": .string(reason),
        ]
        if cameInTheClear { fields["clear"] = .bool(true) }
        return .object(fields)
    }

    fileprivate init(_ reader: ObjectReader) throws(JSONError) {
        var fields = reader
        id = try fields.digest("id")
        kind = try fields.named("kind")
        sender = try fields.partyName("sender")
        fingerprint = try fields.string("fingerprint")
        since = Timestamp(seconds: try fields.integer("since"))
        cause = try fields.named("cause")
        reason = try fields.string("reason")
        cameInTheClear = try fields.optionalBool("clear") ?? false
        try fields.finish()
    }
}

extension Equivocation {
    fileprivate var json: JSONValue {
        [
            "sender": .string(sender.text), "session": .string(session.hex), "seq": .integer(seq),
            "first": .string(first.hex), "second": .string(second.hex),
        ]
    }

    fileprivate init(_ reader: ObjectReader) throws(JSONError) {
        var fields = reader
        sender = try fields.partyName("sender")
        session = try fields.randomID("session")
        seq = try fields.integer("seq")
        first = try fields.digest("first")
        second = try fields.digest("second")
        try fields.finish()
    }
}

extension ObjectReader {
    /// A case of an enumeration by its raw value.
    fileprivate mutating func named<Value: RawRepresentable<String>>(_ key: String) throws(JSONError) -> Value {
        guard let value = Value(rawValue: try string(key)) else { throw problem(key, "is not a known word") }
        return value
    }

    fileprivate mutating func names(_ key: String) throws(JSONError) -> [PartyName] {
        var names: [PartyName] = []
        for text in try strings(key) {
            guard let name = PartyName(text) else { throw problem(key, "must be configured names") }
            names.append(name)
        }
        return names
    }
}
